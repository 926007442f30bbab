/* Counters in an array and in a hash map. */
#include "bench.h"

#define __uint(name, val) int (*name)[val]
#define __type(name, val) val *name

static void *(*const lookup)(void *map, const void *key) = (void *)1;

struct {
	__uint(type, 2);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} numbers SEC(".maps");

u64 total;

static inline u64 work(u8 *data, u8 *end)
{
	for (u32 i = 0; i < 64; i++) {
		u32 key = i * 7 % 64;
		u64 *value = lookup(&numbers, &key);
		if (value)
			*value += i;
		total++;
	}
	return total & 1;
}
PROGRAM(work)
