#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(1024);
	__type(key, __u64);
	__type(value, struct file *);
} opened SEC(".maps");

// A kprobe's argument is a number: it cannot be followed by `->`.
SEC("kprobe/vfs_write")
int BPF_KPROBE(kprobe_argument, struct file *file)
{
	return file->f_inode->i_ino == 2;
}

// A pointer that was kept in a map comes back as a number.
SEC("kretprobe/vfs_open")
int BPF_KRETPROBE(kept_between_probes)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct file **file = bpf_map_lookup_elem(&opened, &id);

	if (!file)
		return 0;
	bpf_printk("%lu", (*file)->f_inode->i_ino);
	return 0;
}

struct kfree_skb_record {
	__u64 common;
	void *skbaddr;
	void *location;
	unsigned short protocol;
};

// The record of a tracepoint has addresses; what they lead to has to be read.
SEC("tracepoint/skb/kfree_skb")
int tracepoint_address(struct kfree_skb_record *record)
{
	struct sk_buff *skb = record->skbaddr;

	return skb->len > 1500;
}

// The first pointer is read as it has to be, the next one is followed directly.
SEC("kprobe/do_exit")
int second_step(struct pt_regs *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task(), *parent;

	parent = BPF_CORE_READ(task, real_parent);
	bpf_printk("%d", parent->tgid);
	return 0;
}

struct openat_record {
	__u64 common;
	long nr, dfd;
	const char *filename;
	long flags, mode;
};

// A pointer of a process cannot be followed by a program.
SEC("tracepoint/syscalls/sys_enter_openat")
int users_string(struct openat_record *record)
{
	return record->filename[0] == '/';
}

// Arguments of raw tracepoints are numbers; tp_btf has them with types.
SEC("raw_tracepoint/sched_switch")
int raw_argument(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *next = (void *)ctx->args[2];

	return next->pid == 1;
}

// An address that was written into the program is only a number.
SEC("fentry/do_exit")
int address_of_symbol(void *ctx)
{
	__u64 *jiffies = (void *)0xffffffff82a07980ull;

	bpf_printk("%lu", *jiffies);
	return 0;
}

// The list of children is walked by its pointers.
SEC("kprobe/do_exit")
int list_of_tasks(struct pt_regs *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct list_head *next;

	bpf_probe_read_kernel(&next, sizeof(next), &task->tasks.next);
	next = next->next;
	return next == 0;
}
