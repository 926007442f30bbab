/* FNV-1a over the packet, a byte at a time. */
#include "bench.h"

static inline u64 work(u8 *data, u8 *end)
{
	u64 hash = 0xcbf29ce484222325;
	for (u32 i = 0; i < 1500; i++) {
		if (data + i + 1 > end)
			break;
		hash = (hash ^ data[i]) * 0x100000001b3;
	}
	return hash;
}
PROGRAM(work)
