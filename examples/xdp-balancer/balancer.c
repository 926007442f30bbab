// Spreads UDP and TCP flows to one virtual address over backends: rewrites the destination, mends the checksums and
// sends the packet back out of the interface it came from (or through another one, for a backend that has its own).
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define BACKENDS 4

struct backend {
	__u32 address;    // network order
	__u8 mac[6];
	__u16 interface;  // 0: the one the packet came from
	__u64 packets;
	__u64 bytes;
};

struct flow {
	__u32 source;
	__u32 destination;
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;
	__u8 pad[3];
};

// Set by the user before loading.
const volatile __u32 virtual_address = bpf_htonl(0x0a000064); // 10.0.0.100

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

// Flows keep their backend.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct flow);
	__type(value, __u32);
} flows SEC(".maps");

static __always_inline __u32 mix(__u32 h, __u32 value)
{
	h ^= value;
	h *= 0x9e3779b1;
	return h ^ h >> 15;
}

static __always_inline __u32 choose(const struct flow *flow)
{
	__u32 h = mix(mix(mix(7, flow->source), flow->source_port), flow->protocol);

	return mix(h, flow->destination_port) % BACKENDS;
}

// One's complement sum of a checksum after one 32-bit word of what it covers changed (RFC 1624).
static __always_inline __u16 mend(__u16 sum, __u32 from, __u32 to)
{
	__u64 s = (__u16)~sum;

	s += (__u16)~from + (__u64)(__u16)~(from >> 16) + (__u16)to + (to >> 16);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return ~s;
}

SEC("xdp")
int balancer(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct backend *backend;
	struct flow flow = {};
	__u16 *checksum, *ports;
	__u32 *known, index;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->ihl != 5 || ip->daddr != virtual_address)
		return XDP_PASS;
	ports = (void *)(ip + 1);
	if (ip->protocol == IPPROTO_UDP) {
		struct udphdr *udp = (void *)ports;

		if ((void *)(udp + 1) > end)
			return XDP_DROP;
		checksum = udp->check ? &udp->check : 0;
	} else if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)ports;

		if ((void *)(tcp + 1) > end)
			return XDP_DROP;
		checksum = &tcp->check;
	} else {
		return XDP_PASS;
	}
	flow.source = ip->saddr;
	flow.destination = ip->daddr;
	flow.source_port = ports[0];
	flow.destination_port = ports[1];
	flow.protocol = ip->protocol;
	known = bpf_map_lookup_elem(&flows, &flow);
	if (known) {
		index = *known;
	} else {
		index = choose(&flow);
		bpf_map_update_elem(&flows, &flow, &index, BPF_ANY);
	}
	backend = bpf_map_lookup_elem(&backends, &index);
	if (!backend || !backend->address)
		return XDP_DROP;
	if (checksum)
		*checksum = mend(*checksum, ip->daddr, backend->address);
	ip->check = mend(ip->check, ip->daddr, backend->address);
	ip->daddr = backend->address;
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, backend->mac, ETH_ALEN);
	__sync_fetch_and_add(&backend->packets, 1);
	__sync_fetch_and_add(&backend->bytes, end - data);
	if (backend->interface)
		return bpf_redirect(backend->interface, 0);
	return XDP_TX;
}

char _license[] SEC("license") = "Dual MIT/GPL";
