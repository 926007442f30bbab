// Spreads the messages of one connection over workers. A message is two bytes with its length, a byte that says whom it is
// for, and the rest.
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define WORKERS 4
#define HEADER 3
#define LONGEST 4096

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, WORKERS);
} workers SEC(".maps");

__u32 messages[WORKERS], broken;

SEC("sk_skb/stream_parser")
int length(struct __sk_buff *skb)
{
	__be16 len;

	// Zero: not enough has come to tell.
	if (skb->len < HEADER || bpf_skb_load_bytes(skb, 0, &len, sizeof(len)) < 0)
		return 0;
	if (bpf_ntohs(len) > LONGEST) {
		broken++;
		return skb->len;
	}
	return HEADER + bpf_ntohs(len);
}

SEC("sk_skb/stream_verdict")
int spread(struct __sk_buff *skb)
{
	__u8 worker;

	if (bpf_skb_load_bytes(skb, 2, &worker, 1) < 0 || worker >= WORKERS) {
		broken++;
		return SK_DROP;
	}
	__sync_fetch_and_add(&messages[worker & (WORKERS - 1)], 1);
	return bpf_sk_redirect_map(skb, &workers, worker, 0);
}

char LICENSE[] SEC("license") = "GPL";
