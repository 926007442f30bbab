#include "common.h"

struct row {
	__u32 slots[4];
	char name[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, struct row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, __u32);
} small SEC(".maps");

__u8 table[32];

SEC("tc")
int too_far(struct __sk_buff *skb)
{
	__u32 key = 1;
	struct row *r = bpf_map_lookup_elem(&small, &key);

	if (!r)
		return 0;
	return r->name[3];
}

SEC("tc")
int off_by_one(struct __sk_buff *skb)
{
	__u32 key = 1, i = skb->mark;
	struct row *r = bpf_map_lookup_elem(&rows, &key);

	if (!r || i > 16)
		return 0;
	return r->name[i];
}

SEC("tc")
int signed_index(struct __sk_buff *skb)
{
	__u32 key = 1;
	int i = skb->mark;
	struct row *r = bpf_map_lookup_elem(&rows, &key);

	if (!r)
		return 0;
	if (i < 4)
		return r->slots[i];
	return 0;
}

SEC("tc")
int no_bound(struct __sk_buff *skb)
{
	return table[skb->len];
}

SEC("tc")
int checked_elsewhere(struct __sk_buff *skb)
{
	__u32 key = 1;
	struct row *r = bpf_map_lookup_elem(&rows, &key);

	if (!r)
		return 0;
	if (r->slots[0] >= 16)
		return 0;
	bpf_get_prandom_u32();
	return r->name[*(volatile __u32 *)&r->slots[0]];
}
