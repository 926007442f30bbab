#include "common.h"

struct packed {
	__u8 kind;
	__u64 when;
	__u32 len;
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, struct packed);
} records SEC(".maps");

// A member of a packed struct is taken for an aligned number.
SEC("tc")
int packed_on_stack(struct __sk_buff *skb)
{
	struct packed p;
	__u64 *when = (void *)&p.when;

	bpf_skb_load_bytes(skb, 0, &p, sizeof(p));
	asm volatile("" : "+r"(when));
	return *when == 5;
}

// A counter in a buffer of bytes.
SEC("tc")
int counter_in_bytes(struct __sk_buff *skb)
{
	char bytes[24];
	__u32 *counter = (void *)(bytes + 3);

	bpf_skb_load_bytes(skb, 0, bytes, sizeof(bytes));
	asm volatile("" : "+r"(counter));
	return *counter;
}

// Atomics want an aligned place in every kind of memory.
SEC("tc")
int atomic_in_packed(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	struct packed *p = bpf_map_lookup_elem(&records, &key);

	if (!p)
		return 0;
	__sync_fetch_and_add((__u64 *)&p->when, 1);
	return 0;
}
