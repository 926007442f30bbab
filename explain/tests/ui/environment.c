#include "common.h"

SEC("xdp")
int not_for_xdp(struct xdp_md *ctx)
{
	__u32 mark = 1;

	return bpf_skb_store_bytes((void *)ctx, 0, &mark, 4, 0);
}

SEC("tc")
int not_for_tc(struct __sk_buff *skb)
{
	char comm[16];

	bpf_probe_read_user(comm, sizeof(comm), (void *)0);
	return comm[0];
}

SEC("socket")
int by_socket(struct __sk_buff *skb)
{
	return bpf_redirect(1, 0);
}

extern int bpf_no_such_function(int x) __ksym __weak;

SEC("tc")
int no_such_function(struct __sk_buff *skb)
{
	return bpf_no_such_function(skb->len);
}
