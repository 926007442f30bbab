// Counts retransmissions of TCP segments by the other end.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sock_common {
	__be32 skc_daddr;
	__be16 skc_dport;
	unsigned short skc_family;
	volatile unsigned char skc_state;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

struct sk_buff {
	unsigned int len;
} __attribute__((preserve_access_index));

struct end {
	__be32 address;
	__be16 port;
	__u16 zero;
};

struct counts {
	__u64 segments;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct end);
	__type(value, struct counts);
	__uint(max_entries, 4096);
} retransmitted SEC(".maps");

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(retransmit, const struct sock *sk, const struct sk_buff *skb)
{
	struct counts none = {}, *c;
	struct end end = {};

	if (sk->__sk_common.skc_family != 2)
		return 0;
	end.address = sk->__sk_common.skc_daddr;
	end.port = sk->__sk_common.skc_dport;
	bpf_map_update_elem(&retransmitted, &end, &none, BPF_NOEXIST);
	c = bpf_map_lookup_elem(&retransmitted, &end);
	if (!c)
		return 0;
	__sync_fetch_and_add(&c->segments, 1);
	__sync_fetch_and_add(&c->bytes, skb->len);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
