// Counts what a cgroup sends and receives by protocol, and drops what it sends to other ports than those of the web and of
// name servers.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct traffic);
	__uint(max_entries, 2);
} traffic SEC(".maps");

static void add(__u32 direction, __u32 len)
{
	struct traffic *t = bpf_map_lookup_elem(&traffic, &direction);

	if (t) {
		__sync_fetch_and_add(&t->packets, 1);
		__sync_fetch_and_add(&t->bytes, len);
	}
}

SEC("cgroup_skb/ingress")
int received(struct __sk_buff *skb)
{
	add(0, skb->len);
	return 1;
}

SEC("cgroup_skb/egress")
int sent(struct __sk_buff *skb)
{
	struct iphdr ip;
	__be16 ports[2];

	if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return 0;
	if (bpf_skb_load_bytes(skb, ip.ihl * 4, ports, sizeof(ports)))
		return 0;
	switch (bpf_ntohs(ports[1])) {
	case 53:
	case 80:
	case 443:
		add(1, skb->len);
		return 1;
	}
	bpf_printk("no way to port %d", bpf_ntohs(ports[1]));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
