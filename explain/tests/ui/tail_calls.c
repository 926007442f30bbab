// flags: -mllvm -bpf-stack-size=2048
#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

static __noinline int next(struct __sk_buff *skb, __u32 n)
{
	bpf_tail_call(skb, &programs, n);
	return 0;
}

// The caller's frame stays on the stack, and there may be 33 of them.
SEC("tc")
int large_frame(struct __sk_buff *skb)
{
	char bytes[300];

	bpf_skb_load_bytes(skb, 0, bytes, sizeof(bytes));
	return next(skb, bytes[3]);
}

static int each(__u32 i, void *ctx)
{
	bpf_tail_call(*(void **)ctx, &programs, i);
	return 0;
}

// A callback cannot leave for another program.
SEC("tc")
int in_callback(struct __sk_buff *skb)
{
	void *ctx = skb;

	bpf_loop(4, each, &ctx, 0);
	return 0;
}

// The context has to be the program's own.
SEC("tc")
int other_context(struct __sk_buff *skb)
{
	struct __sk_buff copy = {};

	bpf_tail_call(&copy, &programs, 0);
	return 0;
}

struct value {
	struct bpf_spin_lock lock;
	__u32 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, struct value);
} values SEC(".maps");

// Nobody gives back what is held when a program leaves.
SEC("tc")
int under_lock(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_tail_call(skb, &programs, 0);
	bpf_spin_unlock(&v->lock);
	return 0;
}
