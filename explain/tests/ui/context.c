#include "common.h"

SEC("xdp")
int fields_of_skb(struct __sk_buff *skb)
{
	return skb->mark ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int written(struct __sk_buff *skb)
{
	skb->len = 0;
	return 0;
}

SEC("tc")
int too_wide(struct __sk_buff *skb)
{
	return *(__u64 *)&skb->len > 5;
}

SEC("kprobe/do_exit")
int moved(struct pt_regs *ctx)
{
	__u64 *regs = (void *)ctx, i = bpf_get_prandom_u32() & 7;

	return regs[i] == 4;
}

SEC("cgroup_skb/ingress")
int hidden(struct __sk_buff *skb)
{
	return skb->queue_mapping == 3 && skb->tc_classid;
}
