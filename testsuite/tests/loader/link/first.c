/* One half of a linked object: defines what the other uses, and the other way round.
   SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "../fixture.h"

struct { uint(type, 1); type(key, u32); type(value, u64); uint(max_entries, 16); } shared SEC(".maps");
extern struct { uint(type, 2); type(key, u32); type(value, u64); uint(max_entries, 2); } other SEC(".maps");
static void *(*lookup)(void *map, const void *key) = (void *)1;

u32 counter = 3;
extern u32 limit;
extern int defined_in_second(int n);
static noinline int same_name(int n) { asm volatile("" : "+r"(n)); return n + 1; }
weak_symbol noinline int chosen(int n) { return n * 2; }
weak_symbol noinline int replaced(int n) { return n * 3; }

SEC("socket") int one(void *ctx) {
  u32 key = 0;
  u64 *a = lookup(&shared, &key), *b = lookup(&other, &key);
  return (a && b) + counter + limit + defined_in_second(same_name(1)) + chosen(2) + replaced(3);
}
