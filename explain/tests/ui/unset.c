#include "common.h"

SEC("kprobe/vfs_read")
int like_bcc(void *ctx, void *file, char *buf)
{
	bpf_printk("%p", buf);
	return 0;
}

SEC("socket")
int one_path(struct __sk_buff *skb)
{
	__u32 value;

	if (skb->mark == 7)
		value = skb->len;
	asm volatile("" : "+r"(value));
	return value;
}

SEC("xdp")
__attribute__((naked)) int no_result(void)
{
	asm volatile("if r1 == 0 goto +1; r0 = 1; exit");
}

static void *(*too_few)(void *map) = (void *)BPF_FUNC_map_lookup_elem;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, __u32);
} counts SEC(".maps");

SEC("xdp")
int missing_argument(struct xdp_md *ctx)
{
	return too_few(&counts) ? XDP_PASS : XDP_DROP;
}
