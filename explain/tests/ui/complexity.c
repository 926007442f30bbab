#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(1024);
	__type(key, __u32);
	__type(value, __u32);
} rules SEC(".maps");

__u32 weights[64];
char text[4096];

// Every round forks, and no two states are the same: the counters differ.
SEC("tc")
int counted_bits(struct __sk_buff *skb)
{
	__u32 bits = skb->hash, odd = 0, even = 0;

	for (int i = 0; i < 300; i++) {
		if (bpf_get_prandom_u32() & 1)
			odd += i;
		else
			even += i + 1;
		if (odd + even > 1000000)
			break;
		weights[(odd ^ even) & 63]++;
	}
	return odd > even;
}

// Two loops in each other: a million rounds.
SEC("tc")
int nested(struct __sk_buff *skb)
{
	__u64 sum = 0;

	for (int i = 0; i < 1000; i++)
		for (int j = 0; j < 1000; j++) {
			barrier_var(j);
			sum += i * j;
		}
	return sum & 1;
}

// A search of a text, from every place of it.
SEC("tc")
int text_search(struct __sk_buff *skb)
{
	for (int i = 0; i < 4000; i++) {
		int j = 0;

		for (; j < 32; j++)
			if (text[(i + j) & 4095] != text[j])
				break;
		if (j == 32)
			return i;
	}
	return -1;
}

// The rounds of this loop are counted by nothing.
SEC("xdp")
int until_zero(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex, *next;

	do {
		next = bpf_map_lookup_elem(&rules, &key);
		if (!next)
			return XDP_PASS;
		key = *next;
	} while (key != 0);
	return XDP_DROP;
}

// The counter goes the wrong way.
SEC("tc")
int wrong_direction(struct __sk_buff *skb)
{
	volatile __u32 n = 10;
	__u64 sum = 0;

	while (n > 0)
		sum += n;
	return sum;
}

static int step(__u32 i, void *data)
{
	__u32 *sum = data;

	for (int j = 0; j < 100000; j++) {
		barrier_var(j);
		*sum += j & i;
	}
	return 0;
}

// The loop in the callback has too many rounds.
SEC("tc")
int loop_in_callback(struct __sk_buff *skb)
{
	__u32 sum = 0;

	bpf_loop(1000, step, &sum, 0);
	return sum & 1;
}
