// Counts system calls by task and number.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct call {
	__u32 pid;
	__u32 number;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct call);
	__type(value, __u64);
	__uint(max_entries, 4096);
} calls SEC(".maps");

SEC("raw_tracepoint/sys_enter")
int count(struct bpf_raw_tracepoint_args *ctx)
{
	struct call call = { bpf_get_current_pid_tgid() >> 32, ctx->args[1] };
	__u64 one = 1, *n = bpf_map_lookup_elem(&calls, &call);

	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&calls, &call, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
