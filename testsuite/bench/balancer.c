/* A load balancer as Katran is one: a flow keeps its server, a new one gets it from a ring; statistics for each CPU; the
 * packet leaves in an IPv4 tunnel. The tunnel is taken off again, so that every run finds the same packet. */
#include "bench.h"

#define __uint(name, val) int (*name)[val]
#define __type(name, val) val *name
#define RING 4096
#define TUNNEL 20

static void *(*const lookup)(void *map, const void *key) = (void *)1;
static long (*const update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const adjust_head)(struct xdp_md *ctx, int by) = (void *)44;

struct flow {
	u32 source, destination;
	u16 source_port, destination_port;
	u8 protocol, pad[3];
};

struct server {
	u32 address, flags;
	u8 mac[8];
};

struct count {
	u64 packets, bytes;
};

struct ethernet {
	u8 to[6], from[6];
	u16 type;
};

struct ipv4 {
	u8 version_len, service;
	u16 len, id, fragment;
	u8 ttl, protocol;
	u16 sum;
	u32 source, destination;
};

struct {
	__uint(type, 9); /* LRU hash */
	__uint(max_entries, 4096);
	__type(key, struct flow);
	__type(value, u32);
} flows SEC(".maps");

struct {
	__uint(type, 2); /* array */
	__uint(max_entries, RING);
	__type(key, u32);
	__type(value, u32);
} ring SEC(".maps");

struct {
	__uint(type, 2);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct server);
} servers SEC(".maps");

struct {
	__uint(type, 6); /* per-CPU array */
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct count);
} counts SEC(".maps");

static inline u32 mix(u32 h, u32 value)
{
	h ^= value;
	h *= 0x9e3779b1;
	return h ^ h >> 15;
}

static inline u16 checksum(struct ipv4 *ip)
{
	u16 *words = (u16 *)ip;
	u32 sum = 0;

	for (u32 i = 0; i < sizeof(*ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

SEC("xdp")
int entry(struct xdp_md *ctx)
{
	u8 *data = (u8 *)(u64)ctx->data, *end = (u8 *)(u64)ctx->data_end;
	struct ethernet *eth = (void *)data, kept;
	struct ipv4 *ip = (void *)(eth + 1);
	struct flow flow = {};
	struct server *server;
	struct count *count;
	u32 *known, number, slot;
	u16 *ports, len;

	if ((u8 *)(ip + 1) + 4 > end || eth->type != 0x0008 || ip->version_len != 0x45)
		return 2;
	if (ip->protocol != 6 && ip->protocol != 17)
		return 2;
	ports = (u16 *)(ip + 1);
	flow.source = ip->source;
	flow.destination = ip->destination;
	flow.source_port = ports[0];
	flow.destination_port = ports[1];
	flow.protocol = ip->protocol;
	known = lookup(&flows, &flow);
	if (known) {
		number = *known;
	} else {
		slot = mix(mix(mix(7, flow.source), flow.source_port), flow.protocol) % RING;
		known = lookup(&ring, &slot);
		if (!known)
			return 1;
		number = *known;
		update(&flows, &flow, &number, 0);
	}
	server = lookup(&servers, &number);
	if (!server)
		return 1;
	count = lookup(&counts, &number);
	if (count) {
		count->packets++;
		count->bytes += end - data;
	}
	kept = *eth;
	len = end - data - sizeof(*eth) + TUNNEL;
	if (adjust_head(ctx, -TUNNEL))
		return 1;
	data = (u8 *)(u64)ctx->data;
	end = (u8 *)(u64)ctx->data_end;
	eth = (void *)data;
	ip = (void *)(eth + 1);
	if ((u8 *)(ip + 1) > end)
		return 1;
	__builtin_memcpy(eth->to, server->mac, 6);
	__builtin_memcpy(eth->from, kept.to, 6);
	eth->type = 0x0008;
	*ip = (struct ipv4){ .version_len = 0x45, .len = len >> 8 | len << 8, .ttl = 64, .protocol = 4,
			     .source = flow.source_port << 16 | 0x10ac, .destination = server->address };
	ip->sum = checksum(ip);
	slot = ip->sum;
	if (adjust_head(ctx, TUNNEL))
		return 1;
	data = (u8 *)(u64)ctx->data;
	end = (u8 *)(u64)ctx->data_end;
	if (data + sizeof(kept) > end)
		return 1;
	*(struct ethernet *)data = kept;
	return slot ? 3 : 1;
}

char _license[] SEC("license") = "GPL";
