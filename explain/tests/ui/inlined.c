// debug: kept, since it says where inlined functions are called
#include "common.h"

static __always_inline __u16 port_of(struct tcphdr *tcp)
{
	return tcp->dest;
}

static __always_inline int is_web(struct tcphdr *tcp)
{
	__u16 port = port_of(tcp);

	return port == bpf_htons(80) || port == bpf_htons(443);
}

SEC("xdp")
int unchecked_inside(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;

	if (is_web(data + 34))
		return XDP_DROP;
	return XDP_PASS;
}
