#include "common.h"

// Where the compiler is told that nothing comes here, it leaves the end out.
SEC("tc")
int told_unreachable(struct __sk_buff *skb)
{
	if (skb->len > 100)
		return 0;
	bpf_get_prandom_u32();
	__builtin_unreachable();
}

static __noinline __attribute__((noreturn)) void give_up(struct __sk_buff *skb)
{
	bpf_skb_change_type(skb, 1);
	for (;;)
		;
}

// A function that does not return ends in a loop.
SEC("tc")
int gives_up(struct __sk_buff *skb)
{
	if (skb->len < 20)
		give_up(skb);
	return 0;
}
