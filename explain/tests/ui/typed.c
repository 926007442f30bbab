#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

struct inet_sock {
	struct sock sk;
	__u16 inet_sport;
} KERNEL;

// A cast makes no other struct of a struct.
SEC("fentry/tcp_connect")
int BPF_PROG(cast_to_larger, struct sock *sk)
{
	struct inet_sock *inet = (void *)sk;

	bpf_printk("%d", inet->inet_sport);
	return 0;
}

// Kernel objects are read, not written.
SEC("fentry/tcp_connect")
int BPF_PROG(written_directly, struct sock *sk)
{
	sk->sk_mark = 7;
	return 0;
}

// The bytes of a name are copied by a helper that wants plain memory.
SEC("lsm/file_open")
int BPF_PROG(name_as_key, struct file *file)
{
	static const char etc[] = "etc";

	return -bpf_strncmp((const char *)file->f_path.dentry->d_name.name, 3, etc);
}

// The array in the struct ends before this index.
SEC("tp_btf/task_newtask")
int BPF_PROG(behind_comm, struct task_struct *task)
{
	return ((char *)task)[40000] == 'x';
}

// A variable decides which byte of the object is read.
SEC("tp_btf/task_newtask")
int BPF_PROG(variable_byte, struct task_struct *task, __u64 flags)
{
	return task->comm[flags & 15] == 'x';
}

// A struct of the kernel's is passed where another is wanted.
SEC("fentry/tcp_connect")
int BPF_PROG(socket_as_task, struct sock *sk)
{
	extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
	extern void bpf_task_release(struct task_struct *p) __ksym;
	struct task_struct *task = bpf_task_acquire((void *)sk);

	if (task)
		bpf_task_release(task);
	return 0;
}
