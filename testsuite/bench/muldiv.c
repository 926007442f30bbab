/* Multiplication, division and remainder, by constants and by variables. */
#include "bench.h"

static inline u64 work(u8 *data, u8 *end)
{
	u64 a = 0x123456789abcdef, b = 7;
	for (u32 i = 1; i < 500; i++) {
		a = a * 6364136223846793005 + 1442695040888963407;
		b += a / 1000;
		b ^= a % 97;
		b += (u32)a / 60;
		b += a / (b >> 40 | 3);
	}
	return a ^ b;
}
PROGRAM(work)
