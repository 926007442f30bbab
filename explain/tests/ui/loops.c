#include "common.h"

struct node {
	__u32 next;
	__u32 value;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, struct node);
} nodes SEC(".maps");

SEC("tc")
int walk(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	struct node *n;

	while ((n = bpf_map_lookup_elem(&nodes, &key)))
		key = n->next;
	return 0;
}

SEC("tc")
int for_ever(struct __sk_buff *skb)
{
	volatile __u32 x = 0;

	while (1)
		x = 1;
	return 0;
}

SEC("tc")
int until_time(struct __sk_buff *skb)
{
	__u64 end = bpf_ktime_get_ns() + 1000;

	while (bpf_ktime_get_ns() < end)
		;
	return 0;
}
