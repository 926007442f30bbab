// Says who has lost a child to a signal that cannot be caught, as far as the parent is still there.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define SIGKILL 9

struct task_struct {
	int pid;
	int tgid;
	char comm[16];
	struct task_struct *real_parent;
} __attribute__((preserve_access_index));

extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

__u32 orphans;

SEC("tp_btf/signal_generate")
int BPF_PROG(killed, int sig, void *info, struct task_struct *task, int group, int result)
{
	struct task_struct *parent;

	if (sig != SIGKILL)
		return 0;
	parent = bpf_task_from_pid(task->real_parent->pid);
	if (!parent) {
		orphans++;
		return 0;
	}
	bpf_printk("%s has lost %s", parent->comm, task->comm);
	bpf_task_release(parent);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
