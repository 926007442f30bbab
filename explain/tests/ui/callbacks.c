#include "common.h"

struct totals {
	__u64 packets, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, struct totals);
} table SEC(".maps");

static long sum(struct bpf_map *map, __u32 *key, struct totals *t, __u64 *out)
{
	*out += t->packets;
	return t->packets > 1000 ? 2 : 0;
}

// A callback says 0 or 1.
SEC("tc")
int returns_two(struct __sk_buff *skb)
{
	__u64 out = 0;

	bpf_for_each_map_elem(&table, sum, &out, 0);
	return out > 5;
}

__noinline int global_step(__u32 i, void *data)
{
	return 0;
}

// Callbacks are static.
SEC("tc")
int global_callback(struct __sk_buff *skb)
{
	return bpf_loop(4, global_step, 0, 0);
}

static int through_context(__u32 i, __u64 *slots)
{
	slots[i] = i;
	return 0;
}

// The number of a round is not known to be small.
SEC("tc")
int round_as_index(struct __sk_buff *skb)
{
	__u64 slots[8] = {};

	bpf_loop(8, through_context, slots, 0);
	return slots[3];
}

static int reads_key(struct bpf_map *map, __u32 *key, struct totals *t, void *out)
{
	*key = 0;
	return 0;
}

// The key belongs to the map.
SEC("tc")
int writes_key(struct __sk_buff *skb)
{
	bpf_for_each_map_elem(&table, reads_key, 0, 0);
	return 0;
}

static int uses_packet(__u32 i, void **ctx)
{
	struct __sk_buff *skb = *ctx;

	return skb->len > i;
}

// A pointer that is kept in memory comes back as a pointer only where it was stored whole.
SEC("tc")
int context_in_memory(struct __sk_buff *skb)
{
	long ctx[2] = { (long)skb, 1 };

	ctx[0] |= skb->mark & 1;
	bpf_loop(4, uses_packet, ctx, 0);
	return 0;
}
