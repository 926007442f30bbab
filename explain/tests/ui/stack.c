// flags: -mllvm -bpf-stack-size=2048
#include "common.h"

SEC("tc")
int too_large(struct __sk_buff *skb)
{
	char block[600];

	bpf_skb_load_bytes(skb, 0, block, sizeof(block));
	return block[5];
}

static __noinline int inner(struct __sk_buff *skb)
{
	char bytes[320];

	bpf_skb_load_bytes(skb, 0, bytes, sizeof(bytes));
	return bytes[7];
}

SEC("tc")
int together(struct __sk_buff *skb)
{
	char other[300];

	bpf_skb_load_bytes(skb, 9, other, sizeof(other));
	return inner(skb) + other[8];
}

SEC("tc")
int variable_place(struct __sk_buff *skb)
{
	char local[32] = {};
	__u32 i = skb->mark;

	bpf_skb_load_bytes(skb, 0, local, sizeof(local));
	return local[i];
}

SEC("tc")
int variable_write(struct __sk_buff *skb)
{
	char local[32] = {};
	int i = skb->mark;

	if (i > 31)
		return 0;
	local[i] = 1;
	bpf_skb_store_bytes(skb, 0, local, sizeof(local), 0);
	return 0;
}
