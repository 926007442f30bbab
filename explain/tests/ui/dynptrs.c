#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(1 << 16);
} ring SEC(".maps");

char text[64];

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u32 offset, void *buffer, __u32 size) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *ptr, __u32 start, __u32 end) __ksym;

// The record is neither submitted nor discarded.
SEC("tc")
int record_kept(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;

	bpf_ringbuf_reserve_dynptr(&ring, 32, 0, &ptr);
	bpf_dynptr_write(&ptr, 0, text, 16, 0);
	return 0;
}

// Where the reservation fails the dynptr has to be discarded too.
SEC("tc")
int failed_reservation(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;

	if (bpf_ringbuf_reserve_dynptr(&ring, skb->len, 0, &ptr))
		return 0;
	bpf_dynptr_write(&ptr, 0, text, 16, 0);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	return 0;
}

// The dynptr is read before it is made.
SEC("tc")
int not_made(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;

	bpf_dynptr_read(text, 8, &ptr, 0, 0);
	return 0;
}

// A slice of the packet may be NULL.
SEC("tc")
int slice_unchecked(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	struct ethhdr *eth, buffer;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return 0;
	eth = bpf_dynptr_slice(&ptr, 0, &buffer, sizeof(buffer));
	return eth->h_proto == bpf_htons(ETH_P_IP);
}

// The slice has as many bytes as were asked for.
SEC("tc")
int slice_too_short(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	char buffer[14];
	__u8 *bytes;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return 0;
	bytes = bpf_dynptr_slice(&ptr, 0, buffer, sizeof(buffer));
	if (!bytes)
		return 0;
	return bytes[23] == 6;
}

// A slice is used after the record was submitted.
SEC("tc")
int data_after_submit(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	__u32 *data;

	bpf_ringbuf_reserve_dynptr(&ring, 32, 0, &ptr);
	data = bpf_dynptr_data(&ptr, 0, 8);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	if (data)
		*data = skb->len;
	return 0;
}

// The dynptr that has to be submitted is made anew.
SEC("tc")
int made_again(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;

	bpf_ringbuf_reserve_dynptr(&ring, 32, 0, &ptr);
	if (skb->len > 100)
		bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &ptr);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	return 0;
}

// A dynptr over the stack cannot be made.
SEC("tc")
int over_stack(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	char local[16] = {};

	bpf_dynptr_from_mem(local, sizeof(local), 0, &ptr);
	bpf_dynptr_write(&ptr, 0, text, 8, 0);
	return 0;
}
