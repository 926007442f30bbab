#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct task_struct___old {
	long state;
	int cpu;
} KERNEL;

struct request___old {
	void *rq_disk;
} KERNEL;

struct no_such_struct {
	int member;
} KERNEL;

enum no_such_enum {
	NO_SUCH_VALUE = 5,
};

// A member that newer kernels have renamed.
SEC("tp_btf/sched_switch")
int BPF_PROG(renamed_member, int preempt, struct task_struct *prev)
{
	struct task_struct___old *old = (void *)prev;

	bpf_printk("%ld", old->state);
	return 0;
}

// The same through a helper.
SEC("kprobe/do_exit")
int member_by_read(struct pt_regs *ctx)
{
	struct task_struct___old *task = (void *)bpf_get_current_task();

	bpf_printk("%d", BPF_CORE_READ(task, cpu));
	return 0;
}

// A struct that this kernel does not have.
SEC("kprobe/do_exit")
int missing_struct(struct pt_regs *ctx)
{
	struct no_such_struct *s = (void *)PT_REGS_PARM1(ctx);

	bpf_printk("%d", BPF_CORE_READ(s, member));
	return 0;
}

// A value of an enumeration that is not there.
SEC("kprobe/do_exit")
int missing_value(struct pt_regs *ctx)
{
	bpf_printk("%d", bpf_core_enum_value(enum no_such_enum, NO_SUCH_VALUE));
	return 0;
}
