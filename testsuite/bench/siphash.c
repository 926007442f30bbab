/* SipHash-2-4 over the packet. */
#include "bench.h"

#define ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define ROUND                                                  \
	do {                                                   \
		v0 += v1, v1 = ROTL(v1, 13), v1 ^= v0;         \
		v0 = ROTL(v0, 32);                             \
		v2 += v3, v3 = ROTL(v3, 16), v3 ^= v2;         \
		v0 += v3, v3 = ROTL(v3, 21), v3 ^= v0;         \
		v2 += v1, v1 = ROTL(v1, 17), v1 ^= v2;         \
		v2 = ROTL(v2, 32);                             \
	} while (0)

static inline u64 work(u8 *data, u8 *end)
{
	u64 k0 = 0x0706050403020100, k1 = 0x0f0e0d0c0b0a0908;
	u64 v0 = k0 ^ 0x736f6d6570736575, v1 = k1 ^ 0x646f72616e646f6d;
	u64 v2 = k0 ^ 0x6c7967656e657261, v3 = k1 ^ 0x7465646279746573;
	u64 len = end - data, m;
	u8 *p = data;

	for (u32 i = 0; i < 187; i++) {
		if (p + 8 > end)
			break;
		m = *(u64 *)p;
		v3 ^= m;
		ROUND;
		ROUND;
		v0 ^= m;
		p += 8;
	}
	m = len << 56;
	for (u32 i = 0; i < 7; i++) {
		if (p + 1 > end)
			break;
		m |= (u64)*p << (8 * i);
		p++;
	}
	v3 ^= m;
	ROUND;
	ROUND;
	v0 ^= m;
	v2 ^= 0xff;
	ROUND;
	ROUND;
	ROUND;
	ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}
PROGRAM(work)
