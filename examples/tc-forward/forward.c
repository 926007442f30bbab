// Sends UDP packets for one port to another port, marks them for policy routing, and counts them by what happened.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IP_OFF sizeof(struct ethhdr)
#define UDP_OFF (IP_OFF + sizeof(struct iphdr))

enum outcome { OTHER, FORWARDED, MALFORMED, OUTCOMES };

const volatile __u16 from_port = 53;
const volatile __u16 to_port = 5353;
const volatile __u32 mark = 0x77;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, enum outcome);
	__type(value, __u64);
} outcomes SEC(".maps");

static void count(enum outcome outcome)
{
	__u64 *n = bpf_map_lookup_elem(&outcomes, &outcome);

	if (n)
		(*n)++;
}

SEC("tc")
int forward(struct __sk_buff *skb)
{
	__be16 from, to = bpf_htons(to_port);
	struct iphdr ip;

	if (skb->protocol != bpf_htons(ETH_P_IP)) {
		count(OTHER);
		return TC_ACT_OK;
	}
	if (bpf_skb_load_bytes(skb, IP_OFF, &ip, sizeof(ip)) || ip.ihl != 5) {
		count(MALFORMED);
		return TC_ACT_SHOT;
	}
	if (ip.protocol != IPPROTO_UDP) {
		count(OTHER);
		return TC_ACT_OK;
	}
	if (bpf_skb_load_bytes(skb, UDP_OFF + offsetof(struct udphdr, dest), &from, sizeof(from))) {
		count(MALFORMED);
		return TC_ACT_SHOT;
	}
	if (from != bpf_htons(from_port)) {
		count(OTHER);
		return TC_ACT_OK;
	}
	bpf_l4_csum_replace(skb, UDP_OFF + offsetof(struct udphdr, check), from, to, BPF_F_MARK_MANGLED_0 | sizeof(to));
	bpf_skb_store_bytes(skb, UDP_OFF + offsetof(struct udphdr, dest), &to, sizeof(to), 0);
	skb->mark = mark;
	count(FORWARDED);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual MIT/GPL";
