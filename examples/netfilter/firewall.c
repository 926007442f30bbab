// Drops fragments, and packets to an address on a list.
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define NF_DROP 0
#define NF_ACCEPT 1

struct sk_buff;

struct nf_hook_state {
	__u8 hook;
	__u8 pf;
} __attribute__((preserve_access_index));

struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
} __attribute__((preserve_access_index));

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u32 offset, void *buffer, __u32 size) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __be32);
	__type(value, __u64);
	__uint(max_entries, 256);
} blocked SEC(".maps");

SEC("netfilter")
int filter(struct bpf_nf_ctx *ctx)
{
	struct bpf_dynptr packet;
	struct iphdr buffer, *ip;
	__be32 to;
	__u64 *n;

	if (ctx->state->pf != 2 || bpf_dynptr_from_skb((struct __sk_buff *)ctx->skb, 0, &packet))
		return NF_ACCEPT;
	ip = bpf_dynptr_slice(&packet, 0, &buffer, sizeof(buffer));
	if (!ip)
		return NF_DROP;
	if (ip->frag_off & bpf_htons(0x3fff))
		return NF_DROP;
	to = ip->daddr;
	n = bpf_map_lookup_elem(&blocked, &to);
	if (!n)
		return NF_ACCEPT;
	__sync_fetch_and_add(n, 1);
	return NF_DROP;
}

char LICENSE[] SEC("license") = "GPL";
