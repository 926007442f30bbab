#include "common.h"

#define SLOTS 10

struct histogram {
	__u8 names[4][16];
	__u64 last;
	__u32 slots[SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct histogram);
} histograms SEC(".maps");

char path[128];
__u32 used;
const volatile __u32 limit = 200;

static struct histogram *histogram(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&histograms, &key);
}

// A logarithm has no bound that the verifier knows.
SEC("tc")
int log2_slot(struct __sk_buff *skb)
{
	struct histogram *h = histogram();
	__u32 slot = 0, v = skb->len;

	if (!h)
		return 0;
	for (int i = 0; i < 16 && v; i++, v >>= 1)
		slot++;
	barrier_var(slot);
	h->slots[slot]++;
	return 0;
}

// The mask is larger than the array.
SEC("tc")
int mask_too_wide(struct __sk_buff *skb)
{
	struct histogram *h = histogram();

	if (h)
		h->slots[skb->hash & 15]++;
	return 0;
}

// The wrong dimension is bounded.
SEC("tc")
int two_dimensions(struct __sk_buff *skb)
{
	struct histogram *h = histogram();
	__u32 row = skb->queue_mapping, column = skb->priority;

	if (!h || row >= 16 || column >= 16)
		return 0;
	return h->names[row][column];
}

// A position in a global variable is kept in another global variable.
SEC("tc")
int append(struct __sk_buff *skb)
{
	path[used] = skb->protocol;
	used++;
	return 0;
}

// The last round of the loop goes one past the end.
SEC("tc")
int inclusive_loop(struct __sk_buff *skb)
{
	struct histogram *h = histogram();
	__u64 sum = 0;

	if (!h)
		return 0;
	for (__u32 i = 0; i <= SLOTS; i++) {
		barrier_var(i);
		sum += h->slots[i];
	}
	return sum > 1000;
}

// The bound comes from a variable that user space sets.
SEC("tc")
int configured_limit(struct __sk_buff *skb)
{
	__u32 i = skb->mark;

	if (i >= limit)
		return 0;
	return path[i];
}

// Eight bytes are copied from an index that leaves room for one.
SEC("tc")
int wide_at_end(struct __sk_buff *skb)
{
	__u32 i = skb->mark;
	__u64 word;

	if (i >= sizeof(path))
		return 0;
	__builtin_memcpy(&word, &path[i], sizeof(word));
	return word == 5;
}

// Only the sum of offset and length is compared.
SEC("tc")
int sum_compared(struct __sk_buff *skb)
{
	__u32 off = skb->mark, len = skb->priority;

	if (off + len > sizeof(path))
		return 0;
	bpf_skb_load_bytes(skb, 0, &path[off], len);
	return 0;
}

// A signed byte of the value is used as the index of another array.
SEC("tc")
int signed_byte(struct __sk_buff *skb)
{
	struct histogram *h = histogram();
	signed char i;

	if (!h)
		return 0;
	i = h->names[0][0];
	if (i >= SLOTS)
		return 0;
	return h->slots[i];
}
