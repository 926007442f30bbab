#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(4096);
} ring SEC(".maps");

struct value {
	struct bpf_spin_lock lock;
	__u32 hits;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, struct value);
} values SEC(".maps");

SEC("tc")
int early_return(struct __sk_buff *skb)
{
	__u32 *r = bpf_ringbuf_reserve(&ring, 4, 0);

	if (!r)
		return 0;
	if (skb->len < 64)
		return 2;
	*r = skb->len;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

SEC("tc")
int never(struct __sk_buff *skb)
{
	__u64 *r = bpf_ringbuf_reserve(&ring, 8, 0);

	if (r)
		*r = skb->len;
	return 0;
}

SEC("tc")
int socket(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);

	if (sk && sk->state == 1) {
		bpf_sk_release(sk);
		return 2;
	}
	return 0;
}

SEC("tc")
int locked(struct __sk_buff *skb)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	v->hits++;
	if (v->hits > 9)
		return 2;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
int call_under_lock(struct __sk_buff *skb)
{
	__u32 key = 1;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	v->hits = bpf_ktime_get_ns();
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
int used_after(struct __sk_buff *skb)
{
	__u32 *r = bpf_ringbuf_reserve(&ring, 4, 0);

	if (!r)
		return 0;
	bpf_ringbuf_submit(r, 0);
	return *r;
}
