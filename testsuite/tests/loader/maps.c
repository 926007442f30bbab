/* Maps in all forms. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fixture.h"

struct key { u32 a; u16 b; };
struct value { u64 count; };
struct inner { uint(type, 2); type(key, u32); type(value, u64); uint(max_entries, 4); };

struct { uint(type, 1); type(key, struct key); type(value, struct value); uint(max_entries, 100); uint(map_flags, 1); } hash SEC(".maps");
struct { uint(type, 2); uint(key_size, 4); uint(value_size, 12); uint(max_entries, 3); uint(numa_node, 0); } sizes SEC(".maps");
struct { uint(type, 30); uint(value_size, 4); uint(max_entries, 10); ulong(map_extra, 3); } bloom SEC(".maps");
struct { uint(type, 27); uint(max_entries, 5000); } ring SEC(".maps");
struct { uint(type, 4); uint(key_size, 4); uint(value_size, 4); } events SEC(".maps");
struct { uint(type, 2); type(key, u32); type(value, u32); } no_size SEC(".maps");
struct inner first SEC(".maps"), second SEC(".maps");
struct { uint(type, 12); uint(max_entries, 3); type(key, u32); array(values, struct inner); } outer SEC(".maps") = {
  .values = { [0] = (void *)&first, [2] = (void *)&second },
};
int entry(void *ctx);
struct { uint(type, 3); uint(max_entries, 4); uint(key_size, 4); array(values, int(void *)); } jumps SEC(".maps") = {
  .values = { [1] = (void *)&entry },
};
struct { uint(type, 33); uint(map_flags, 1 << 10); uint(max_entries, 4); ulong(map_extra, 1ULL << 44); } arena SEC(".maps");

u32 global_variable = 5;
static volatile u32 static_variable = 6;
hidden u32 hidden_variable SEC(".data.hidden") = 7;
u64 zeroed[4];
const volatile u32 constant = 8;
const volatile u32 named SEC(".rodata.named") = 9;
u32 in_arena SEC(".addr_space.1") = 10;

SEC("socket") int entry(void *ctx) { return 0; }
SEC("?socket") u64 uses(void *ctx) {
  void *all[] = { &hash, &sizes, &bloom, &ring, &events, &no_size, &outer, &jumps };
  u64 sum = 0;
  for (int i = 0; i < 8; i++) sum ^= (u64)all[i];
  return sum + global_variable + static_variable + hidden_variable + zeroed[2] + constant + named;
}
SEC("socket") u64 *arena_address(void *ctx) { return (void *)&in_arena; }
