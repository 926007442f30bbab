#include "common.h"

SEC("xdp")
int unchecked(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	return eth->h_proto == bpf_htons(ETH_P_IP) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int header_only(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip;

	if (data + sizeof(*eth) > data_end)
		return XDP_PASS;
	ip = data + sizeof(*eth);
	return ip->protocol == 17 ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int options(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp;

	if ((void *)(ip + 1) > data_end)
		return 0;
	tcp = (void *)ip + ip->ihl * 4;
	return tcp->dest == bpf_htons(80) ? 2 : 0;
}

SEC("xdp")
int wrong_side(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 20 <= end)
		return XDP_PASS;
	return data[12] == 8 ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int length_field(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 off;

	if (data + 4 > end)
		return 0;
	off = *(__u32 *)data;
	if (data + off + 1 > end)
		return 0;
	return data[off];
}
