// A filter whose policy can be changed while it is attached: the loader puts another function in the place of `policy`,
// which lets everything pass. Here an extension that wants VLAN tags to stay outside takes it.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

__u32 packets, tagged;

__attribute__((noinline)) int policy(struct xdp_md *ctx)
{
	volatile int action = XDP_PASS;

	// Whatever the compiler sees here, the function may be another one.
	return ctx ? action : XDP_ABORTED;
}

SEC("xdp")
int filter(struct xdp_md *ctx)
{
	__sync_fetch_and_add(&packets, 1);
	return policy(ctx);
}

SEC("freplace/policy")
int no_tags(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	if (eth->h_proto != bpf_htons(ETH_P_8021Q))
		return XDP_PASS;
	__sync_fetch_and_add(&tagged, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
