// Knows the flows that are alive: each has a timer, which every packet winds up again and which forgets the flow when it
// fires.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IDLE 30000000000ull
#define CLOCK_MONOTONIC 1

struct flow {
	__be32 from, to;
};

struct entry {
	__u64 packets;
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct flow);
	__type(value, struct entry);
	__uint(max_entries, 4096);
} flows SEC(".maps");

__u32 forgotten;

static int forget(void *map, struct flow *flow, struct entry *entry)
{
	bpf_printk("%pI4 sent %d packets", &flow->from, entry->packets);
	bpf_map_delete_elem(map, flow);
	forgotten++;
	return 0;
}

SEC("tc")
int see(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct entry none = {}, *entry;
	struct flow flow;

	if ((void *)(ip + 1) > end || skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	flow.from = ip->saddr;
	flow.to = ip->daddr;
	entry = bpf_map_lookup_elem(&flows, &flow);
	if (!entry) {
		if (bpf_map_update_elem(&flows, &flow, &none, BPF_NOEXIST))
			return TC_ACT_OK;
		entry = bpf_map_lookup_elem(&flows, &flow);
		if (!entry)
			return TC_ACT_OK;
		bpf_timer_init(&entry->timer, &flows, CLOCK_MONOTONIC);
		bpf_timer_set_callback(&entry->timer, forget);
	}
	__sync_fetch_and_add(&entry->packets, 1);
	bpf_timer_start(&entry->timer, IDLE, 0);
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
