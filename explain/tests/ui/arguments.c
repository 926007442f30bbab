#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(8);
	__type(key, __u64);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(4096);
} ring SEC(".maps");

SEC("tc")
int map_as_number(struct __sk_buff *skb)
{
	__u64 key = 0;

	return bpf_map_delete_elem((void *)(long)skb->mark, &key);
}

SEC("tc")
int key_is_context(struct __sk_buff *skb)
{
	return bpf_map_lookup_elem(&table, skb) != 0;
}

SEC("tc")
int context_of_another(struct __sk_buff *skb)
{
	__u64 copy[24] = {};

	return bpf_skb_load_bytes((void *)copy, 0, copy, 8);
}

SEC("tc")
int unchecked_value(struct __sk_buff *skb)
{
	__u64 key = 1;
	__u64 *v = bpf_map_lookup_elem(&table, &key);

	return bpf_map_update_elem(&table, &key, v, 0);
}

SEC("tc")
int variable_record(struct __sk_buff *skb)
{
	void *r = bpf_ringbuf_reserve(&ring, skb->len, 0);

	if (r)
		bpf_ringbuf_discard(r, 0);
	return 0;
}

SEC("tc")
int wrong_map(struct __sk_buff *skb)
{
	__u64 v = 1;

	bpf_ringbuf_output(&table, &v, sizeof(v), 0);
	return 0;
}
