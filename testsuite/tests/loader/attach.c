/* Attach points and function tables. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fixture.h"

struct moved;
struct ops___v2 { int (*two)(int); int (*one)(struct moved *); long flags; char name[8]; long not_in_kernel; };

SEC("fentry/hook") int at_entry(void *ctx) { return 0; }
SEC("fexit.s/vmlinux:hook") int at_exit(void *ctx) { return 0; }
SEC("fentry/nowhere") int nowhere(void *ctx) { return 0; }
SEC("fentry/module:hook") int in_module(void *ctx) { return 0; }
SEC("fentry") int unnamed(void *ctx) { return 0; }
SEC("tp_btf/event") int tracepoint(void *ctx) { return 0; }
SEC("lsm.s/open") int lsm(void *ctx) { return 0; }
SEC("iter/things") int iterator(void *ctx) { return 0; }
SEC("freplace/something") int replacement(void *ctx) { return 0; }
SEC("usdt/./a:b:c") int usdt(void *ctx) { return 0; }
SEC("struct_ops/one") int one(void *ctx) { return 0; }
SEC("struct_ops.s/two") int two(void *ctx) { return 0; }
SEC("struct_ops/three") int forgotten(void *ctx) { return 0; }

SEC(".struct_ops.link") struct ops___v2 table = {
  .one = (void *)one, .two = (void *)two, .flags = 0x11, .name = "name",
};
SEC("?.struct_ops") struct ops___v2 unusable = { .not_in_kernel = 1 };
