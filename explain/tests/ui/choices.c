#include "common.h"

struct entry {
	__u32 mark;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, struct entry);
} entries SEC(".maps");

SEC("tc")
int context_or_value(struct __sk_buff *skb)
{
	__u32 key = 1;
	struct entry *e = bpf_map_lookup_elem(&entries, &key);
	__u32 *p = e ? &e->mark : &skb->mark;

	return *p;
}

SEC("tc")
int chosen_field(struct __sk_buff *skb)
{
	__u32 *p = skb->len > 100 ? &skb->mark : &skb->priority;

	asm volatile("" : "+r"(p));
	return *p;
}

SEC("cgroup_skb/ingress")
int socket_or_context(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	__u32 *p = &skb->mark;

	if (sk)
		p = &sk->mark;
	asm volatile("" : "+r"(p));
	return *p & 1;
}
