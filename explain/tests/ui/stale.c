#include "common.h"

SEC("tc")
int pulled(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + 34 > end)
		return 0;
	bpf_skb_pull_data(skb, 64);
	return data[23] == 6 ? 2 : 0;
}

SEC("xdp")
int shortened(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (bpf_xdp_adjust_head(ctx, 4))
		return XDP_ABORTED;
	eth->h_proto = 0;
	return XDP_PASS;
}

static __noinline int grow(struct __sk_buff *skb)
{
	return bpf_skb_change_tail(skb, 128, 0);
}

SEC("tc")
int moved_below(struct __sk_buff *skb)
{
	struct iphdr *ip = (void *)(long)skb->data + ETH_HLEN;

	if ((void *)(ip + 1) > (void *)(long)skb->data_end)
		return 0;
	if (grow(skb))
		return 2;
	return ip->ttl;
}
