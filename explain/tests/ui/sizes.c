#include "common.h"

char buf[64];

SEC("kprobe/do_exit")
int negative(void *ctx)
{
	int len = bpf_get_prandom_u32();

	if (len > 64)
		return 0;
	bpf_probe_read_kernel(buf, len, ctx);
	return 0;
}

SEC("kprobe/do_exit")
int unbounded(void *ctx)
{
	__u64 len = bpf_ktime_get_ns();

	bpf_probe_read_kernel(buf, len, ctx);
	return 0;
}

SEC("tc")
int maybe_zero(struct __sk_buff *skb)
{
	char local[32];
	__u32 len = skb->len;

	if (len > sizeof(local))
		return 0;
	bpf_skb_load_bytes(skb, 0, local, len);
	return local[0];
}

SEC("kprobe/do_exit")
int larger_than_buffer(void *ctx)
{
	char local[16];

	bpf_probe_read_kernel(local, 32, ctx);
	bpf_printk("%s", local);
	return 0;
}
