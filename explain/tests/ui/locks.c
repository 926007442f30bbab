#include "common.h"

struct bucket {
	struct bpf_spin_lock lock;
	__u64 tokens, last;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, struct bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct bucket);
} defaults SEC(".maps");

// A lock is taken while it is held.
SEC("tc")
int taken_again(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	struct bucket *b = bpf_map_lookup_elem(&buckets, &key);

	if (!b)
		return 0;
	bpf_spin_lock(&b->lock);
	if (b->tokens == 0) {
		bpf_spin_lock(&b->lock);
		b->tokens = 100;
	}
	bpf_spin_unlock(&b->lock);
	return 0;
}

// Two values are locked at a time.
SEC("tc")
int two_locks(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex, zero = 0;
	struct bucket *b = bpf_map_lookup_elem(&buckets, &key);
	struct bucket *d = bpf_map_lookup_elem(&defaults, &zero);

	if (!b || !d)
		return 0;
	bpf_spin_lock(&b->lock);
	bpf_spin_lock(&d->lock);
	b->tokens = d->tokens;
	bpf_spin_unlock(&d->lock);
	bpf_spin_unlock(&b->lock);
	return 0;
}

// The other value's lock is given back.
SEC("tc")
int other_unlocked(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex, zero = 0;
	struct bucket *b = bpf_map_lookup_elem(&buckets, &key);
	struct bucket *d = bpf_map_lookup_elem(&defaults, &zero);

	if (!b || !d)
		return 0;
	bpf_spin_lock(&b->lock);
	b->tokens = 1;
	bpf_spin_unlock(&d->lock);
	return 0;
}

// A map is updated while the lock is held.
SEC("tc")
int update_under_lock(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	struct bucket *b = bpf_map_lookup_elem(&buckets, &key), fresh = {};

	if (!b)
		return 0;
	bpf_spin_lock(&b->lock);
	if (b->tokens == 0)
		bpf_map_update_elem(&buckets, &key, &fresh, BPF_ANY);
	bpf_spin_unlock(&b->lock);
	return 0;
}

// The lock is a member that plain accesses must not touch.
SEC("tc")
int copied_with_lock(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	struct bucket *b = bpf_map_lookup_elem(&buckets, &key);

	if (!b)
		return 0;
	*(__u32 *)b = 0;
	return 0;
}

// The early return in the function below keeps the lock.
static __noinline int take(struct bucket *b)
{
	bpf_spin_lock(&b->lock);
	if (b->tokens < 10)
		return -1;
	b->tokens -= 10;
	bpf_spin_unlock(&b->lock);
	return 0;
}

SEC("tc")
int returns_with_lock(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	struct bucket *b = bpf_map_lookup_elem(&buckets, &key);

	if (b && take(b))
		return 2;
	return 0;
}

// A lock on the stack locks nothing.
SEC("tc")
int lock_on_stack(struct __sk_buff *skb)
{
	struct bucket b = {};

	bpf_spin_lock(&b.lock);
	b.tokens = 1;
	bpf_spin_unlock(&b.lock);
	return 0;
}

// Tracing programs may interrupt the holder of a lock.
SEC("kprobe/do_exit")
int lock_in_kprobe(void *ctx)
{
	__u32 key = 1;
	struct bucket *b = bpf_map_lookup_elem(&buckets, &key);

	if (!b)
		return 0;
	bpf_spin_lock(&b->lock);
	b->tokens++;
	bpf_spin_unlock(&b->lock);
	return 0;
}
