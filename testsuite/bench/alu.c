/* A chain of 64-bit operations, each of which needs the one before. */
#include "bench.h"

static inline u64 work(u8 *data, u8 *end)
{
	u64 a = 0x9e3779b97f4a7c15, b = 1;
	for (u32 i = 0; i < 3000; i++) {
		a ^= a << 13;
		a ^= a >> 7;
		a ^= a << 17;
		b += a;
		a = a * 5 + b;
		b = b << 23 | b >> 41;
		a -= b & i;
	}
	return a ^ b;
}
PROGRAM(work)
