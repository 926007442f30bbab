/* Functions of functions: order, linkage, addresses, exception callbacks. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fixture.h"

static long (*bpf_loop)(u32 n, void *callback, void *ctx, u64 flags) = (void *)181;

noinline int last(int n) { return n * 3; }
static noinline int middle(int n) { asm volatile("" : "+r"(n)); return last(n) + 1; }
noinline hidden int concealed(int n) { return n + middle(n); }
noinline int overridden(int n);
weak_symbol noinline int overridden(int n) { return n - 1; }
static noinline int callback(u32 index, void *ctx) { return last(index) > 9; }
noinline u64 cleanup(u64 cookie) { return cookie + 1; }

SEC("socket") int one(void *ctx) { return concealed(1) + last(2); }
SEC("socket") int two(void *ctx) { return overridden(3) + last(4); }
SEC("socket") int three(void *ctx) { return bpf_loop(5, callback, 0, 0); }
SEC("socket") tag("exception_callback:cleanup") int throws(void *ctx) { return last(6); }
SEC("xdp.frags") int types(void *ctx) { return 0; }
SEC("no_such_section") int untyped(void *ctx) { return 0; }
