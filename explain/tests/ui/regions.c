#include "common.h"
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

// RCU regions in programs that may sleep.

#define __kptr __attribute__((btf_type_tag("kptr")))

struct bpf_iter_task {
	__u64 opaque[3];
} __attribute__((aligned(8)));

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;

struct slot {
	struct task_struct __kptr *task;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

// No region at all.
SEC("lsm.s/file_open")
int BPF_PROG(parent_acquired, struct file *file)
{
	struct task_struct *me = bpf_get_current_task_btf();
	struct task_struct *parent = bpf_task_acquire(me->real_parent);

	if (parent)
		bpf_task_release(parent);
	return 0;
}

// The region ends before the pointer is used.
SEC("lsm.s/file_open")
int BPF_PROG(used_behind_region, struct file *file)
{
	__u32 zero = 0;
	struct slot *s = bpf_map_lookup_elem(&slots, &zero);
	struct task_struct *t, *mine;

	if (!s)
		return 0;
	bpf_rcu_read_lock();
	t = s->task;
	bpf_rcu_read_unlock();
	if (!t)
		return 0;
	mine = bpf_task_acquire(t);
	if (mine)
		bpf_task_release(mine);
	return 0;
}

// The region is closed on the way out, the iterator is not.
SEC("lsm.s/bpf")
int BPF_PROG(left_in_loop, int cmd)
{
	struct bpf_iter_task it;
	struct task_struct *t;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, 0);
	while ((t = bpf_iter_task_next(&it))) {
		if (t->pid == 1) {
			bpf_rcu_read_unlock();
			return -1;
		}
	}
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

// A pointer that may be NULL, used inside of a region.
SEC("lsm.s/file_open")
int BPF_PROG(unchecked_in_region, struct file *file)
{
	__u32 zero = 0;
	struct slot *s = bpf_map_lookup_elem(&slots, &zero);
	int pid;

	if (!s)
		return 0;
	bpf_rcu_read_lock();
	pid = s->task->pid;
	bpf_rcu_read_unlock();
	return pid == 1 ? -1 : 0;
}
