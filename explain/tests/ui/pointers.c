#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int end_minus(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	if (data > data_end - 14)
		return XDP_PASS;
	return *(__u8 *)data;
}

SEC("tc")
int bits(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *v = bpf_map_lookup_elem(&counts, &key);

	if (!v)
		return 0;
	v = (void *)((long)v | 1);
	asm volatile("" : "+r"(v));
	return *v;
}

SEC("tc")
int before_check(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *v = bpf_map_lookup_elem(&counts, &key);

	asm volatile("%0 += 4" : "+r"(v));
	if (!v)
		return 0;
	return *(__u32 *)v;
}

SEC("tc")
int shifted(struct __sk_buff *skb)
{
	long p = (long)skb;

	asm volatile("%0 <<= 2" : "+r"(p));
	return p;
}
