/* Calls from function to function. */
#include "bench.h"

static noinline u64 third(u64 a, u64 b)
{
	return (a ^ b) * 31 + 7;
}

static noinline u64 second(u64 a, u64 b)
{
	return third(a + 1, b) ^ third(b, a);
}

static noinline u64 first(u64 a, u64 b)
{
	return second(a, b + 3) + second(b, a);
}

static inline u64 work(u8 *data, u8 *end)
{
	u64 x = 1;
	for (u32 i = 0; i < 100; i++)
		x = first(x, i);
	return x;
}
PROGRAM(work)
