#include "common.h"
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

// Objects that are given back too early, twice, by the wrong call, or not on every path.

struct event {
	__u32 pid;
	int ret;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(1 << 16);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct event);
} heap SEC(".maps");

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *c) __ksym;

const volatile __u32 only_pid;

static __always_inline int skipped(struct event *e, long ret)
{
	if (only_pid && only_pid != e->pid)
		return 1;
	return ret >= 0;
}

// A function that was inlined decides.
SEC("fexit/vfs_fsync")
int BPF_PROG(left_by_filter, struct file *file, int datasync, int ret)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	if (skipped(e, ret))
		return 0;
	e->ret = ret;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// Nothing ever uses the record.
SEC("uprobe//bin/bash:readline")
int never_submitted(struct pt_regs *ctx)
{
	__u64 *e = bpf_ringbuf_reserve(&events, sizeof(__u64), 0);

	return 0;
}

// The record is read after it was submitted.
SEC("tracepoint/sched/sched_process_exec")
int printed_later(void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_ringbuf_submit(e, 0);
	bpf_printk("exec %d", e->pid);
	return 0;
}

// The branch that discards goes on.
SEC("tracepoint/sched/sched_process_exec")
int discarded_and_filled(void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	if (e->pid == 1)
		bpf_ringbuf_discard(e, 0);
	e->ret = 2;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// What is submitted is a value of a map.
SEC("tracepoint/sched/sched_process_exec")
int value_submitted(void *ctx)
{
	__u32 zero = 0;
	struct event *e = bpf_map_lookup_elem(&heap, &zero);

	if (!e)
		return 0;
	e->pid = 1;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// One of two objects may be there where the other is not.
SEC("tp_btf/sched_process_fork")
int BPF_PROG(two_objects, struct task_struct *parent, struct task_struct *child)
{
	struct cgroup *cg = bpf_cgroup_from_id(1);
	struct task_struct *t = bpf_task_acquire(child);

	if (!t || !cg)
		return 0;
	if (cg->level > 2)
		bpf_printk("deep");
	bpf_task_release(t);
	bpf_cgroup_release(cg);
	return 0;
}
