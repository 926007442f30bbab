#include "common.h"
#include <linux/ipv6.h>

struct vlan {
	__be16 tag, proto;
};

// A second tag is read behind the first, which alone is checked.
SEC("xdp")
int second_tag(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct vlan *vlan = data + sizeof(*eth);

	if ((void *)(vlan + 1) > data_end)
		return XDP_PASS;
	if (eth->h_proto != bpf_htons(ETH_P_8021Q))
		return XDP_PASS;
	if (vlan->proto == bpf_htons(ETH_P_8021Q))
		vlan++;
	return vlan->proto == bpf_htons(ETH_P_IP) ? XDP_PASS : XDP_DROP;
}

// The options of TCP are walked, and each is trusted to lie in the packet.
SEC("xdp")
int tcp_options(struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	struct tcphdr *tcp = (void *)(long)ctx->data + 34;
	__u8 *opt;

	if ((void *)(tcp + 1) > data_end)
		return XDP_PASS;
	opt = (__u8 *)(tcp + 1);
	for (int i = 0; i < 10; i++) {
		if (opt[0] == 0)
			break;
		if (opt[0] == 1) {
			opt++;
			continue;
		}
		if (opt[0] == 2)
			return XDP_DROP;
		opt += opt[1];
	}
	return XDP_PASS;
}

// The length of the packet is computed as a number: that says nothing of pointers.
SEC("xdp")
int length_as_number(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	__u64 length = ctx->data_end - ctx->data;

	if (length < 34)
		return XDP_PASS;
	return data[23] == 17 ? XDP_DROP : XDP_PASS;
}

// The payload is compared up to a length that the header names.
SEC("xdp")
int by_total_length(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	__u8 *payload;

	if ((void *)(ip + 1) > data_end)
		return XDP_PASS;
	if (data + ETH_HLEN + bpf_ntohs(ip->tot_len) > data_end)
		return XDP_PASS;
	payload = (__u8 *)(ip + 1) + sizeof(struct udphdr);
	return payload[0] == 'G' ? XDP_DROP : XDP_PASS;
}

// Labels of a name are skipped; the next one is only checked in the first round.
SEC("tc")
int dns_labels(struct __sk_buff *skb)
{
	__u8 *data_end = (void *)(long)skb->data_end, *label = (void *)(long)skb->data + 54;

	if (label + 1 > data_end)
		return 0;
	for (int i = 0; i < 4; i++) {
		if (*label == 0)
			return i;
		label += *label + 1;
	}
	return 4;
}

// Metadata lies before the packet: it is bounded by data, not by data_end.
SEC("xdp")
int metadata(struct xdp_md *ctx)
{
	__u32 *meta = (void *)(long)ctx->data_meta;

	if ((void *)(meta + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	return *meta == 7 ? XDP_DROP : XDP_PASS;
}

// The copy is as long as the buffer, the check as long as the header.
SEC("tc")
int copy_of_name(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	char name[16];

	if (data + 8 > data_end)
		return 0;
	__builtin_memcpy(name, data, sizeof(name));
	bpf_printk("%s", name);
	return 0;
}

static __noinline int is_udp(struct iphdr *ip)
{
	return ip->protocol == 17;
}

// The function gets the packet and not its end.
SEC("tc")
int checked_nowhere(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;

	if (data + sizeof(struct ethhdr) > data_end)
		return 0;
	return is_udp(data + sizeof(struct ethhdr));
}

// Extension headers are as long as they say.
SEC("xdp")
int extension_header(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + ETH_HLEN;
	__u8 *ext, next;

	if ((void *)(ip + 1) > data_end)
		return XDP_PASS;
	next = ip->nexthdr;
	ext = (__u8 *)(ip + 1);
	if (next == 0) {
		if (ext + 8 > data_end)
			return XDP_PASS;
		next = ext[0];
		ext += 8 + ext[1] * 8;
	}
	if (next != 6)
		return XDP_PASS;
	return ((struct tcphdr *)ext)->syn ? XDP_DROP : XDP_PASS;
}
