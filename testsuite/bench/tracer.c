/* A tracer of system calls: counts them by process and number, and keeps the sizes that they ask for in a histogram. One
 * run takes as many calls as a busy moment has, since the kernel repeats no runs of tracepoints by itself. */
#include "bench.h"

#define __uint(name, val) int (*name)[val]
#define __type(name, val) val *name
#define CALLS 256

static void *(*const lookup)(void *map, const void *key) = (void *)1;
static long (*const update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*const current)(void) = (void *)14;

struct key {
	u32 process, number;
};

struct count {
	u64 calls, bytes;
};

struct {
	__uint(type, 1); /* hash */
	__uint(max_entries, 10240);
	__type(key, struct key);
	__type(value, struct count);
} counts SEC(".maps");

struct {
	__uint(type, 6); /* per-CPU array */
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} sizes SEC(".maps");

static inline u32 log2(u32 v)
{
	u32 r = 0, s;

	s = (v > 0xffff) << 4; v >>= s; r |= s;
	s = (v > 0xff) << 3; v >>= s; r |= s;
	s = (v > 0xf) << 2; v >>= s; r |= s;
	s = (v > 3) << 1; v >>= s; r |= s;
	return r | v >> 1;
}

SEC("raw_tracepoint/sys_enter")
int entry(u64 *args)
{
	u64 number = args[1];

	for (u32 i = 0; i < CALLS; i++) {
		struct key key = { current() >> 32, (number + i * 7) % 300 };
		struct count *count = lookup(&counts, &key), first = {};
		u32 slot = log2(i << (i & 15));
		u64 *size;

		if (!count) {
			update(&counts, &key, &first, 1);
			count = lookup(&counts, &key);
		}
		if (!count)
			return 0;
		__sync_fetch_and_add(&count->calls, 1);
		count->bytes += i;
		size = lookup(&sizes, &slot);
		if (size)
			++*size;
	}
	return 1;
}

char _license[] SEC("license") = "GPL";
