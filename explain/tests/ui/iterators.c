#include "common.h"
#include "kernel.h"

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

struct bpf_iter_task {
	__u64 opaque[3];
} __attribute__((aligned(8)));

extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;

__u64 slots[16];

// The iterator is not destroyed where the loop is left.
SEC("tc")
int left_by_return(struct __sk_buff *skb)
{
	struct bpf_iter_num it;
	int *i;

	bpf_iter_num_new(&it, 0, 10);
	while ((i = bpf_iter_num_next(&it))) {
		if (*i == 7)
			return 2;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

// The number that an iterator gives is used without a check.
SEC("tc")
int next_unchecked(struct __sk_buff *skb)
{
	struct bpf_iter_num it;
	int first;

	bpf_iter_num_new(&it, 0, 10);
	first = *bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return first;
}

// The iterator is used before it is made.
SEC("tc")
int not_begun(struct __sk_buff *skb)
{
	struct bpf_iter_num it;

	bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

// The counter of the loop is larger than the array.
SEC("tc")
int index_of_loop(struct __sk_buff *skb)
{
	struct bpf_iter_num it;
	int *i;

	bpf_iter_num_new(&it, 0, 100);
	while ((i = bpf_iter_num_next(&it)))
		slots[*i] = skb->len;
	bpf_iter_num_destroy(&it);
	return 0;
}

// A counter beside the iterator has no bound.
SEC("tc")
int second_counter(struct __sk_buff *skb)
{
	struct bpf_iter_num it;
	__u32 n = 0;

	bpf_iter_num_new(&it, 0, 10);
	while (bpf_iter_num_next(&it))
		slots[n++] = skb->len;
	bpf_iter_num_destroy(&it);
	return 0;
}

// Tasks are walked without the lock that keeps them.
SEC("syscall")
int tasks_without_lock(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *task;

	bpf_iter_task_new(&it, 0, 0);
	while ((task = bpf_iter_task_next(&it)))
		slots[0] += task->pid;
	bpf_iter_task_destroy(&it);
	return 0;
}

// An iterator is begun again before it has ended.
SEC("tc")
int begun_again(struct __sk_buff *skb)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_new(&it, 0, 20);
	bpf_iter_num_destroy(&it);
	return 0;
}
