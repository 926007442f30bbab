#include "common.h"
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, __u32);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

// Events are sent through a counter.
SEC("kprobe/do_exit")
int output_to_array(struct pt_regs *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid();

	bpf_perf_event_output(ctx, &counters, BPF_F_CURRENT_CPU, &pid, sizeof(pid));
	return 0;
}

// A ring buffer is sent to like a perf buffer.
SEC("kprobe/do_exit")
int perf_output_to_ring(struct pt_regs *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid();

	bpf_perf_event_output(ctx, &ring, BPF_F_CURRENT_CPU, &pid, sizeof(pid));
	return 0;
}

// Packets are redirected by a map of numbers.
SEC("xdp")
int redirect_by_hash(struct xdp_md *ctx)
{
	return bpf_redirect_map(&ports, ctx->rx_queue_index, 0);
}

// The next program is looked up in an array of numbers.
SEC("tc")
int tail_call_by_array(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &counters, 1);
	return 0;
}

// A program array is read like an array.
SEC("tc")
int lookup_of_programs(struct __sk_buff *skb)
{
	__u32 key = 1;

	return bpf_map_lookup_elem(&programs, &key) != 0;
}

// Which program is called next is set by user space alone.
SEC("tc")
int update_of_programs(struct __sk_buff *skb)
{
	__u32 key = 1, value = 1;

	return bpf_map_update_elem(&programs, &key, &value, 0);
}

// Storage of tasks is asked of a hash map.
SEC("tp_btf/sched_switch")
int storage_in_hash(void *ctx)
{
	__u32 *v = bpf_task_storage_get(&ports, bpf_get_current_task_btf(), 0, 1);

	return v ? *v & 0 : 0;
}
