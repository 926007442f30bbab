#include "common.h"

struct state {
	void *last;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct state);
} states SEC(".maps");

SEC("kprobe/do_exit")
int from_task(void *ctx)
{
	int *pid = (void *)bpf_get_current_task();

	return *pid;
}

SEC("xdp")
int kept_in_map(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct state *s = bpf_map_lookup_elem(&states, &key);
	__u32 *p;

	if (!s)
		return XDP_PASS;
	p = s->last;
	return *p;
}

SEC("xdp")
int through_32_bits(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct state *s = bpf_map_lookup_elem(&states, &key);
	__u32 low;

	if (!s)
		return XDP_PASS;
	low = (__u32)(long)s;
	asm volatile("" : "+r"(low));
	return ((struct state *)(long)low)->count;
}

SEC("socket")
int null_on_a_path(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct state *s = 0;

	if (skb->len > 100)
		s = bpf_map_lookup_elem(&states, &key);
	if (skb->mark && !s)
		return 0;
	return s->count;
}
