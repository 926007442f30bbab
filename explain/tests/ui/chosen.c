#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

// The number of an argument is a variable.
SEC("kprobe/vfs_write")
int argument_by_number(struct pt_regs *ctx)
{
	unsigned long *regs = &ctx->di;
	__u32 which = bpf_get_smp_processor_id();

	if (which > 2)
		return 0;
	regs -= which;
	return *regs == 1;
}

// Source or destination, by a flag.
SEC("cgroup/sendmsg4")
int either_address(struct bpf_sock_addr *ctx)
{
	__u32 *ip = ctx->user_port == bpf_htons(53) ? &ctx->user_ip4 : &ctx->msg_src_ip4;

	barrier_var(ip);
	return *ip != bpf_htonl(0x7f000001);
}

struct settings {
	__u32 ifindex;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

// The default is in the context, the setting in a map.
SEC("xdp")
int setting_or_default(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct settings *s = bpf_map_lookup_elem(&settings, &zero);
	__u32 *ifindex = &ctx->ingress_ifindex;

	if (s && s->ifindex)
		ifindex = &s->ifindex;
	return *ifindex == 2 ? XDP_DROP : XDP_PASS;
}
