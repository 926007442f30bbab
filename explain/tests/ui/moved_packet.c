#include "common.h"

// The checksum is updated by a helper that may move the packet.
SEC("tc")
int checksum_in_between(struct __sk_buff *skb)
{
	struct iphdr *ip = (void *)(long)skb->data + ETH_HLEN;

	if ((void *)(ip + 1) > (void *)(long)skb->data_end)
		return 0;
	bpf_l3_csum_replace(skb, ETH_HLEN + 10, ip->ttl, ip->ttl - 1, 2);
	ip->ttl--;
	return 0;
}

// A header is made room for, and the old one is written.
SEC("tc")
int room_before_write(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);

	if ((void *)(ip + 1) > end)
		return 0;
	if (bpf_skb_adjust_room(skb, 20, BPF_ADJ_ROOM_MAC, 0))
		return 2;
	ip->saddr = 0;
	return 0;
}

// Metadata is grown, and the old pointer to it is used.
SEC("xdp")
int grown_metadata(struct xdp_md *ctx)
{
	__u32 *meta = (void *)(long)ctx->data_meta;
	void *data = (void *)(long)ctx->data;

	if (bpf_xdp_adjust_meta(ctx, -4))
		return XDP_PASS;
	if ((void *)(meta + 1) > data)
		return XDP_PASS;
	*meta = 1;
	return XDP_PASS;
}

// In a loop the packet is pulled each time, and the end is read once.
SEC("tc")
int pulled_in_loop(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	int sum = 0;

	for (int i = 0; i < 3; i++) {
		if (data + 1 > end)
			return sum;
		sum += *data;
		bpf_skb_pull_data(skb, 64 * (i + 1));
	}
	return sum;
}
