/* The Internet checksum of the packet. */
#include "bench.h"

static inline u64 work(u8 *data, u8 *end)
{
	u64 sum = 0;
	u8 *p = data;
	for (u32 i = 0; i < 188; i++) {
		if (p + 8 > end)
			break;
		sum += *(u32 *)p;
		sum += *(u32 *)(p + 4);
		p += 8;
	}
	for (u32 i = 0; i < 4; i++) {
		if (p + 2 > end)
			break;
		sum += *(u16 *)p;
		p += 2;
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}
PROGRAM(work)
