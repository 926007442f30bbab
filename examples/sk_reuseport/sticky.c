// Gives all datagrams of one host to the same of several processes that share a port, so that each keeps its own sessions.
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PROCESSES 4

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, PROCESSES);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __be32);
	__type(value, __u32);
	__uint(max_entries, 65536);
} sessions SEC(".maps");

__u32 next;

SEC("sk_reuseport")
int sticky(struct sk_reuseport_md *ctx)
{
	__u32 key, *known;
	__be32 host;

	if (ctx->eth_protocol != bpf_htons(ETH_P_IP) || ctx->ip_protocol != 17)
		return SK_PASS;
	if (bpf_skb_load_bytes_relative(ctx, offsetof(struct iphdr, saddr), &host, sizeof(host), BPF_HDR_START_NET) < 0)
		return SK_PASS;
	known = bpf_map_lookup_elem(&sessions, &host);
	if (known) {
		key = *known;
	} else {
		key = __sync_fetch_and_add(&next, 1) % PROCESSES;
		bpf_map_update_elem(&sessions, &host, &key, BPF_ANY);
	}
	// A process that is gone leaves the choice to the kernel.
	bpf_sk_select_reuseport(ctx, &processes, &key, 0);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
