/* What other loaders take and libbpf 1.x refuses: maps as they were declared before BTF, in the layouts of several
 * headers, a pinning value of another loader, a static function beside programs.
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fixture.h"

enum { HASH = 1, ARRAY = 2, PROG_ARRAY = 3, ARRAY_OF_MAPS = 12 };

struct plain {
	u32 type, key_size, value_size, max_entries, map_flags;
};
struct nested {
	u32 type, key_size, value_size, max_entries, map_flags, inner, numa_node;
};
struct elf_map {
	u32 type, key_size, value_size, max_entries, map_flags, id, pinning, inner_id, inner_slot;
};
struct with_path {
	u32 type, key_size, value_size, max_entries, map_flags, pinning;
	char path[256];
};

struct plain counters SEC("maps") = { HASH, 4, 8, 1024, 1 };
struct nested outer SEC("maps") = { ARRAY_OF_MAPS, 4, 4, 3, 0, 4, 0 };
struct elf_map tails SEC("maps") = { PROG_ARRAY, 4, 4, 5, 0, 7, 2, 0, -1 };
struct elf_map by_id SEC("maps") = { ARRAY_OF_MAPS, 4, 4, 2, 0, 8, 0, 9, -1 };
struct elf_map inner SEC("maps") = { ARRAY, 4, 16, 1, 0, 9, 0, 0, 1 };
static struct plain unseen SEC("maps") = { ARRAY, 4, 32, 6 };
struct plain of_a_type SEC("lirc_mode2/maps") = { HASH, 4, 16, 1, 0 };
struct with_path pinned SEC("maps/pinned") = { ARRAY, 4, 4, 1, 0, 1, "somewhere" };

/* Tells the types of a map's key and value, as a macro of old headers did. */
struct ____btf_map_counters {
	u32 key;
	u64 value;
};
struct ____btf_map_counters types_of_counters SEC(".maps.counters");

struct {
	uint(type, ARRAY);
	type(key, u32);
	type(value, u32);
	uint(max_entries, 1);
	uint(pinning, 2);
} modern SEC(".maps");

static void *(*lookup)(void *map, void *key) = (void *)1;

static noinline SEC("mine") int beside(int x)
{
	return x * 3;
}

SEC("mine") int named(void *ctx)
{
	u32 key = 0;
	void *value = lookup(&counters, &key);

	lookup(&pinned, &key);
	lookup(&of_a_type, &key);
	lookup(&modern, &key);
	lookup(&outer, &key);
	lookup(&unseen, &key);
	return beside(value ? 1 : *(int *)ctx);
}

SEC("7/3") int third(void *ctx)
{
	return 3;
}
