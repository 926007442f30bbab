#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

#define __kptr __attribute__((btf_type_tag("kptr")))

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
extern void bpf_cpumask_set_cpu(unsigned int cpu, struct bpf_cpumask *mask) __ksym;

struct slot {
	struct task_struct __kptr *task;
	__u64 when;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

static struct slot *slot(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&slots, &zero);
}

// The task of a kprobe is a number; acquiring wants a trusted pointer.
SEC("kprobe/wake_up_new_task")
int BPF_KPROBE(task_of_kprobe, struct task_struct *task)
{
	task = bpf_task_acquire(task);
	if (task)
		bpf_task_release(task);
	return 0;
}

// A pointer that was read from a trusted one is not trusted itself.
SEC("tp_btf/task_newtask")
int BPF_PROG(wakee_of_task, struct task_struct *task, __u64 flags)
{
	struct task_struct *wakee = bpf_task_acquire(task->last_wakee);

	if (wakee)
		bpf_task_release(wakee);
	return 0;
}

// The task in the map is not checked before it is released.
SEC("tp_btf/task_newtask")
int BPF_PROG(old_unchecked, struct task_struct *task, __u64 flags)
{
	struct slot *s = slot();
	struct task_struct *fresh, *old;

	if (!s)
		return 0;
	fresh = bpf_task_acquire(task);
	if (!fresh)
		return 0;
	old = bpf_kptr_xchg(&s->task, fresh);
	bpf_task_release(old);
	return 0;
}

// What comes out of the map is dropped without a release.
SEC("tp_btf/task_newtask")
int BPF_PROG(old_dropped, struct task_struct *task, __u64 flags)
{
	struct slot *s = slot();
	struct task_struct *fresh;

	if (!s)
		return 0;
	fresh = bpf_task_acquire(task);
	if (!fresh)
		return 0;
	bpf_kptr_xchg(&s->task, fresh);
	return 0;
}

// A pointer that was not acquired is put into the map.
SEC("tp_btf/task_newtask")
int BPF_PROG(put_unacquired, struct task_struct *task, __u64 flags)
{
	struct slot *s = slot();
	struct task_struct *old;

	if (!s)
		return 0;
	old = bpf_kptr_xchg(&s->task, task);
	if (old)
		bpf_task_release(old);
	return 0;
}

// The pointer in the map is written like a number.
SEC("tp_btf/task_newtask")
int BPF_PROG(stored_plainly, struct task_struct *task, __u64 flags)
{
	struct slot *s = slot();

	if (!s)
		return 0;
	s->task = task;
	return 0;
}

// The task that was looked up by its number may not be there.
SEC("tp_btf/task_newtask")
int BPF_PROG(not_found, struct task_struct *task, __u64 flags)
{
	struct task_struct *init = bpf_task_from_pid(1);

	bpf_printk("%s", init->comm);
	bpf_task_release(init);
	return 0;
}

// It is used after it was released.
SEC("tp_btf/task_newtask")
int BPF_PROG(used_after_release, struct task_struct *task, __u64 flags)
{
	struct task_struct *init = bpf_task_from_pid(1);

	if (!init)
		return 0;
	bpf_task_release(init);
	bpf_printk("%d", init->pid);
	return 0;
}

// A new mask may be NULL.
SEC("tp_btf/task_newtask")
int BPF_PROG(mask_unchecked, struct task_struct *task, __u64 flags)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();

	bpf_cpumask_set_cpu(0, mask);
	bpf_cpumask_release(mask);
	return 0;
}
