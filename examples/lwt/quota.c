// A route that lets each host behind it receive so many bytes a second, and drops what is beyond that.
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>

#define SECOND 1000000000ull

const volatile __u32 bytes_per_second = 1000;

struct bucket {
	__u64 since;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __be32);
	__type(value, struct bucket);
	__uint(max_entries, 65536);
} hosts SEC(".maps");

__u64 dropped;

SEC("lwt_xmit")
int quota(struct __sk_buff *skb)
{
	__u64 now = bpf_ktime_get_ns();
	struct bucket fresh = {now, 0}, *bucket;
	__be32 host;

	if (bpf_skb_load_bytes(skb, offsetof(struct iphdr, daddr), &host, sizeof(host)) < 0)
		return BPF_DROP;
	bucket = bpf_map_lookup_elem(&hosts, &host);
	if (!bucket) {
		bpf_map_update_elem(&hosts, &host, &fresh, BPF_NOEXIST);
		bucket = bpf_map_lookup_elem(&hosts, &host);
		if (!bucket)
			return BPF_OK;
	}
	if (now - bucket->since >= SECOND) {
		bucket->since = now;
		bucket->bytes = 0;
	}
	if (bucket->bytes + skb->len > bytes_per_second) {
		__sync_fetch_and_add(&dropped, 1);
		return BPF_DROP;
	}
	__sync_fetch_and_add(&bucket->bytes, skb->len);
	return BPF_OK;
}

char LICENSE[] SEC("license") = "GPL";
