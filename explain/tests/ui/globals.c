#include "common.h"

struct pair {
	__u32 a, b;
};

__noinline struct pair *pointer(struct pair *p)
{
	return p;
}

SEC("tc")
int returns_pointer(struct __sk_buff *skb)
{
	struct pair p = { 1, 2 };

	return pointer(&p) ? 0 : 1;
}

__noinline int sum(struct pair *p)
{
	if (!p)
		return 0;
	return p->a + p->b;
}

SEC("tc")
int too_small(struct __sk_buff *skb)
{
	__u32 one = skb->len;

	return sum((void *)&one);
}

__noinline int first(struct pair *p)
{
	return p->a;
}

SEC("tc")
int unchecked_inside(struct __sk_buff *skb)
{
	struct pair p = { skb->len, 2 };

	return first(&p);
}

struct hidden;

__noinline int unknown(struct hidden *h)
{
	return h != 0;
}

SEC("tc")
int unknown_size(struct __sk_buff *skb)
{
	__u64 x = 1;

	return unknown((void *)&x);
}
