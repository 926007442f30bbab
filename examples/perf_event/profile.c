// Counts samples by task and by the function that was sampled, as a profiler does.
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <bpf/bpf_helpers.h>

struct place {
	char comm[16];
	__u64 ip;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct place);
	__type(value, __u64);
	__uint(max_entries, 4096);
} samples SEC(".maps");

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	struct place p = { .ip = ctx->regs.rip };
	__u64 period = ctx->sample_period, *n;

	bpf_get_current_comm(p.comm, sizeof(p.comm));
	n = bpf_map_lookup_elem(&samples, &p);
	if (n)
		__sync_fetch_and_add(n, period);
	else
		bpf_map_update_elem(&samples, &p, &period, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
