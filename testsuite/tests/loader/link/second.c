/* The other half of a linked object. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "../fixture.h"

struct { uint(type, 2); type(key, u32); type(value, u64); uint(max_entries, 2); } other SEC(".maps");
extern u32 counter;
u32 padding = 1;
u32 limit = 40;
static noinline int same_name(int n) { asm volatile("" : "+r"(n)); return n - 1; }
noinline int defined_in_second(int n) { return same_name(n) + counter; }
weak_symbol noinline int chosen(int n) { return n * 20; }
noinline int replaced(int n) { return n * 30; }

SEC("socket") int two(void *ctx) { return chosen(1) + replaced(2) + padding; }
