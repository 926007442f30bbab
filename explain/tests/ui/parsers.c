#include "common.h"
#include <linux/in.h>
#include <linux/ipv6.h>

// Functions that parse packets: cursors, options, names, lists of extensions.

struct cursor {
	void *pos, *end;
};

struct vlan {
	__be16 tag, proto;
};

struct extension {
	__be16 type, len;
};

struct qname {
	char name[64];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	ENTRIES(1024);
	__type(key, struct qname);
	__type(value, __u64);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(1 << 16);
} copies SEC(".maps");

// The loop checks the option's kind, and reads its length too.
static __always_inline int segment_size(struct tcphdr *tcp, void *end, __u16 *size)
{
	__u8 *opt = (__u8 *)(tcp + 1);

#pragma clang loop unroll(disable)
	for (int i = 0; i < 10; i++) {
		if (opt + 1 > (__u8 *)end)
			return -1;
		if (*opt == 0)
			return -1;
		if (*opt == 1) {
			opt++;
			continue;
		}
		__u8 len = opt[1];
		if (*opt == 2) {
			*size = *(__u16 *)(opt + 2);
			return 0;
		}
		opt += len;
	}
	return -1;
}

SEC("xdp")
int option_length(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	__u16 size = 0;

	if ((void *)(tcp + 1) > end || ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	if (segment_size(tcp, end, &size))
		return XDP_PASS;
	return size > 1460 ? XDP_DROP : XDP_PASS;
}

// The header's own length decides how much is copied, the check is made for the shortest one.
SEC("xdp")
int whole_header(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp;
	__u8 *copy;
	int size;

	if ((void *)(ip + 1) > end || ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	tcp = (void *)ip + ip->ihl * 4;
	if ((void *)(tcp + 1) > end)
		return XDP_PASS;
	size = tcp->doff * 4;
	copy = bpf_ringbuf_reserve(&copies, 60, 0);
	if (!copy)
		return XDP_PASS;
	for (int i = 0; i < size; i++)
		copy[i] = ((__u8 *)tcp)[i];
	bpf_ringbuf_submit(copy, 0);
	return XDP_PASS;
}

// The name follows the header that was checked.
static __always_inline int copy_name(void *pos, void *end, struct qname *q)
{
	int i;

	for (i = 0; i < 63; i++) {
		char c = *(char *)(pos + i);
		if (c == 0)
			break;
		q->name[i] = c;
	}
	return i;
}

SEC("tc")
int name_of_query(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct udphdr *udp = (void *)(ip + 1);
	struct qname q = {};
	__u64 now = bpf_ktime_get_ns();

	if ((void *)(udp + 1) + 12 > end || udp->dest != bpf_htons(53))
		return 0;
	if (copy_name((void *)(udp + 1) + 12, end, &q) > 0)
		bpf_map_update_elem(&seen, &q, &now, BPF_ANY);
	return 0;
}

// The size is that of the pointer.
static __always_inline int protocol_at(struct cursor *c)
{
	struct iphdr *ip = c->pos;

	if (c->pos + sizeof(ip) > c->end)
		return -1;
	return ip->protocol;
}

static __always_inline int skip_link_layer(struct cursor *c, __u16 *proto)
{
	struct ethhdr *eth = c->pos;

	if (c->pos + sizeof(*eth) > c->end)
		return -1;
	*proto = eth->h_proto;
	c->pos = eth + 1;
	if (*proto == bpf_htons(ETH_P_8021Q)) {
		struct vlan *v = c->pos;

		if (c->pos + sizeof(*v) > c->end)
			return -1;
		*proto = v->proto;
		c->pos = v + 1;
	}
	return 0;
}

SEC("xdp")
int size_of_cursor(struct xdp_md *ctx)
{
	struct cursor c = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
	__u16 proto;

	if (skip_link_layer(&c, &proto) || proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	return protocol_at(&c) == IPPROTO_UDP ? XDP_DROP : XDP_PASS;
}

// What the extension holds lies behind its header, which alone is checked.
static __always_inline int host_in(void *pos, void *end, char *host)
{
	for (int i = 0; i < 8; i++) {
		struct extension *ext = pos;

		if ((void *)(ext + 1) > end)
			return -1;
		if (ext->type == 0) {
			char *name = (char *)(ext + 1) + 5;

			for (int j = 0; j < 16; j++)
				host[j] = name[j];
			return 0;
		}
		pos += sizeof(*ext) + bpf_ntohs(ext->len);
	}
	return -1;
}

SEC("xdp")
int extension_body(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	char host[16] = {};

	if (data + 100 > end)
		return XDP_PASS;
	if (host_in(data + 100, end, host))
		return XDP_PASS;
	return host[0] == 'x' ? XDP_DROP : XDP_PASS;
}

// The loop compares the pointer with the end, and reads four bytes behind it.
SEC("xdp")
int words_until_end(struct xdp_md *ctx)
{
	__u32 *p = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 sum = 0;

	for (int i = 0; i < 16 && (void *)p < end; i++, p++)
		sum += *p;
	return sum & 1 ? XDP_DROP : XDP_PASS;
}

// A comparison with a variable length proves nothing of a variable size.
SEC("xdp")
int sum_of_length(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct udphdr *udp = (void *)(ip + 1);
	__u16 len;

	if ((void *)(udp + 1) > end)
		return XDP_PASS;
	len = bpf_ntohs(udp->len);
	if ((void *)udp + len > end)
		return XDP_PASS;
	return bpf_csum_diff(0, 0, (__be32 *)udp, len & ~3, 0) ? XDP_PASS : XDP_DROP;
}

// The compiler gives the loads of the loop to the line that tests what they read.
SEC("tc")
int chain_of_headers(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip6 = data + ETH_HLEN;
	__u8 next;
	void *h;

	if ((void *)(ip6 + 1) > end)
		return 0;
	next = ip6->nexthdr;
	h = ip6 + 1;
	for (int i = 0; i < 2; i++) {
		if (next != 0 && next != 43 && next != 60)
			break;
		struct ipv6_opt_hdr *o = h;
		next = o->nexthdr;
		h += (o->hdrlen + 1) * 8;
	}
	return next == 6 ? 0 : 2;
}
