// Measures how long a server works on each request, by its static probes at the start and the end.
#include <linux/bpf.h>
#include <stdbool.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, __u64);
	__uint(max_entries, 1024);
} started SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, char[32]);
	__type(value, __u64);
	__uint(max_entries, 1024);
} slowest_ns SEC(".maps");

SEC("usdt//usr/sbin/server:server:request__start")
int BPF_USDT(start, __u64 id)
{
	__u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&started, &id, &now, BPF_ANY);
	return 0;
}

SEC("usdt//usr/sbin/server:server:request__done")
int BPF_USDT(done, __u64 id, const char *path)
{
	__u64 *since = bpf_map_lookup_elem(&started, &id), *slowest, took;
	char name[32] = {};

	if (!since)
		return 0;
	took = bpf_ktime_get_ns() - *since;
	bpf_map_delete_elem(&started, &id);
	bpf_probe_read_user_str(name, sizeof(name), path);
	slowest = bpf_map_lookup_elem(&slowest_ns, name);
	if (!slowest || *slowest < took)
		bpf_map_update_elem(&slowest_ns, name, &took, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
