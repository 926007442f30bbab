#include "common.h"

struct flow {
	__u64 packets, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct flow);
} totals SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, __u64);
} inner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	ENTRIES(2);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &inner } };

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct flow);
} sockets SEC(".maps");

// The queue's element is there, as far as the author knows.
SEC("xdp")
int element_of_queue(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	struct flow *total = bpf_map_lookup_elem(&totals, &queue);

	total->packets++;
	total->bytes += ctx->data_end - ctx->data;
	return XDP_PASS;
}

// Two lookups, and the first is checked a second time.
SEC("cgroup_skb/ingress")
int checks_the_other(struct __sk_buff *skb)
{
	__u32 from = skb->remote_ip4, to = skb->local_ip4;
	struct flow *a = bpf_map_lookup_elem(&flows, &from);
	struct flow *b;

	if (!a)
		return 1;
	b = bpf_map_lookup_elem(&flows, &to);
	if (!a)
		return 1;
	b->packets++;
	return 1;
}

// The pointer is used, then checked.
SEC("tc")
int too_late(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	struct flow *f = bpf_map_lookup_elem(&flows, &key);
	__u64 packets = f->packets;

	if (!f)
		return 0;
	return packets > 1000;
}

// After the entry is made it is looked up again, which may fail too.
SEC("tc")
int made_and_looked_up(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	struct flow *f = bpf_map_lookup_elem(&flows, &key), none = {};

	if (!f) {
		bpf_map_update_elem(&flows, &key, &none, BPF_NOEXIST);
		f = bpf_map_lookup_elem(&flows, &key);
	}
	f->packets++;
	return 0;
}

// The inner map is checked, its element is not.
SEC("tc")
int map_of_maps(struct __sk_buff *skb)
{
	__u32 key = 1;
	void *map = bpf_map_lookup_elem(&outer, &key);

	return *(__u64 *)bpf_map_lookup_elem(map, &key) > 4;
}

// The inner map itself may be missing.
SEC("tc")
int missing_inner(struct __sk_buff *skb)
{
	__u32 key = 1;
	void *map = bpf_map_lookup_elem(&outer, &key);
	__u64 *count = bpf_map_lookup_elem(map, &key);

	return count ? *count > 4 : 0;
}

// The full socket of a request socket may be missing.
SEC("cgroup_skb/egress")
int full_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct flow *f;

	if (!sk)
		return 1;
	sk = bpf_sk_fullsock(sk);
	f = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (f)
		f->bytes += skb->len;
	return 1;
}

struct counter {
	__u64 hits;
	__u32 last;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	ENTRIES(64);
	__type(key, __u64);
	__type(value, struct counter);
} counters SEC(".maps");

// A member's address is taken before the check; the compiler adds its offset.
SEC("tc")
int member_first(struct __sk_buff *skb)
{
	__u64 key = skb->hash;
	struct counter *c = bpf_map_lookup_elem(&counters, &key);
	__u32 *last = &c->last;

	asm volatile("" : "+r"(last));
	if (!c)
		return 0;
	*last = skb->len;
	return 0;
}
