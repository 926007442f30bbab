#include "common.h"

SEC("cgroup/connect4")
int errno(struct bpf_sock_addr *ctx)
{
	if (ctx->user_port == bpf_htons(25))
		return -1;
	return 1;
}

SEC("cgroup_skb/egress")
int length(struct __sk_buff *skb)
{
	return skb->len;
}

SEC("cgroup/sysctl")
int two(struct bpf_sysctl *ctx)
{
	return ctx->write ? 2 : 1;
}

static int step(__u32 index, void *data)
{
	return index == 5 ? 3 : 0;
}

SEC("tc")
int callback(struct __sk_buff *skb)
{
	return bpf_loop(10, step, 0, 0);
}
