// SPDX-License-Identifier: MIT OR Apache-2.0
/* A scheduler in one queue, with an operation that sleeps, and one that calls what only others may.
 * clang -O2 -g -mcpu=v3 --target=bpfel -ffile-prefix-map=$PWD=. -c scheduler.c -o scheduler.o && llvm-strip -g scheduler.o */
typedef unsigned long long u64;
typedef unsigned int u32;
typedef int s32;

#define SEC(name) __attribute__((section(name), used))
#define KSYM __attribute__((section(".ksyms")))

#define QUEUE 7

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sched_ext_entity {
	u64 slice;
};
struct task_struct {
	int pid;
	struct sched_ext_entity scx;
};
#pragma clang attribute pop

struct sched_ext_ops {
	s32 (*select_cpu)(struct task_struct *p, s32 prev_cpu, u64 wake_flags);
	void (*enqueue)(struct task_struct *p, u64 enq_flags);
	void (*dispatch)(s32 cpu, struct task_struct *prev);
	void (*tick)(struct task_struct *p);
	s32 (*init)(void);
	char name[128];
};

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) KSYM;
void scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) KSYM;
u32 scx_bpf_nr_cpu_ids(void) KSYM;

SEC("struct_ops/enqueue") void enqueue(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];

	scx_bpf_dsq_insert(p, QUEUE, 20000000, ctx[1]);
}

SEC("struct_ops/dispatch") void dispatch(u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1];

	/* There may be no task before. */
	if (prev)
		prev->scx.slice = 20000000;
}

SEC("struct_ops/tick") void tick(u64 *ctx)
{
	struct task_struct *p = (void *)ctx[0];

	scx_bpf_dsq_insert(p, QUEUE, scx_bpf_nr_cpu_ids(), 0);
}

SEC("struct_ops.s/init") s32 init(u64 *ctx)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

SEC("struct_ops.s/select_cpu") s32 select_cpu(u64 *ctx)
{
	return ctx[1];
}

SEC(".struct_ops") struct sched_ext_ops queue = {
	.select_cpu = (void *)select_cpu,
	.enqueue = (void *)enqueue,
	.dispatch = (void *)dispatch,
	.tick = (void *)tick,
	.init = (void *)init,
	.name = "queue",
};

char _license[] SEC("license") = "GPL";
