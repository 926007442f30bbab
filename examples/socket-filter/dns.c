// Lets a raw socket see DNS over IPv4 only, and cuts what it sees to the headers; counts packets by protocol.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DNS 53
#define HEADERS 54

// Classic packet loads, as in filters of old.
unsigned long long load_byte(void *skb, unsigned long long off) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long off) asm("llvm.bpf.load.half");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u8);
	__type(value, __u64);
} protocols SEC(".maps");

SEC("socket")
int dns(struct __sk_buff *skb)
{
	__u64 one = 1, *seen;
	__u8 protocol;
	__u32 header;

	if (load_half(skb, 12) != ETH_P_IP)
		return 0;
	protocol = load_byte(skb, ETH_HLEN + 9);
	seen = bpf_map_lookup_elem(&protocols, &protocol);
	if (seen)
		__sync_fetch_and_add(seen, 1);
	else
		bpf_map_update_elem(&protocols, &protocol, &one, BPF_NOEXIST);
	if (protocol != IPPROTO_UDP)
		return 0;
	header = ETH_HLEN + (load_byte(skb, ETH_HLEN) & 0xf) * 4;
	if (load_half(skb, header) != DNS && load_half(skb, header + 2) != DNS)
		return 0;
	return HEADERS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
