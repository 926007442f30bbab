// Types of the kernel, as far as the programs here use them; relocated where they are accessed.
#define __VMLINUX_H__
#define KERNEL __attribute__((preserve_access_index))

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

struct list_head {
	struct list_head *next, *prev;
} KERNEL;

struct mm_struct {
	unsigned long arg_start, arg_end;
} KERNEL;

struct cred {
	struct {
		unsigned int val;
	} uid;
} KERNEL;

struct bpf_cpumask {
	int usage;
} KERNEL;

struct task_struct {
	int pid, tgid;
	unsigned int flags;
	char comm[16];
	struct task_struct *real_parent, *group_leader, *last_wakee;
	const struct cred *cred, *real_cred;
	struct mm_struct *mm;
	struct list_head tasks;
	const void *cpus_ptr;
} KERNEL;

struct qstr {
	unsigned int len;
	const unsigned char *name;
} KERNEL;

struct dentry {
	struct qstr d_name;
	struct dentry *d_parent;
} KERNEL;

struct path {
	struct dentry *dentry;
} KERNEL;

struct super_block {
	unsigned long s_magic;
} KERNEL;

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
	struct super_block *i_sb;
} KERNEL;

struct file {
	struct path f_path;
	struct inode *f_inode;
} KERNEL;

struct sock_common {
	unsigned short skc_num, skc_family;
	unsigned int skc_daddr, skc_rcv_saddr;
} KERNEL;

struct sock {
	struct sock_common __sk_common;
	unsigned int sk_mark;
} KERNEL;

struct sk_buff {
	unsigned int len, mark;
	unsigned char *data, *head;
	unsigned short network_header;
	struct sock *sk;
} KERNEL;

struct cgroup {
	int level;
} KERNEL;

struct socket {
	struct sock *sk;
	short type;
} KERNEL;

struct linux_binprm {
	const char *filename;
	struct file *file;
	struct cred *cred;
} KERNEL;

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));
#include <bpf/bpf_core_read.h>
