/* Stands for a kernel: its types, functions and variables are those that the fixtures are resolved against.
   SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fixture.h"

struct moved { u64 first; u32 value; struct { u8 in_anonymous; }; u16 list[4]; };
struct narrow { u8 unsigned_field; s8 signed_field; void *pointer; };
struct bits { u32 pad : 3, low : 5, high : 20; s64 wide : 40; };
struct twice___one { u32 a; u32 b; };
struct twice___two { u32 a; u64 c; u32 b; };
struct same___one { u32 a; };
struct same___two { u32 a; u32 b; };
struct has_more { int a; struct moved *m; char name[16]; long extra; };
union choice { u32 a; u64 b; };
enum color { RED = 7, GREEN = 9, NEGATIVE = -3 };
enum big { LARGE = 0x100000002ULL };
typedef u64 count_t;
struct flexible { int len; u32 items[]; };
struct deep { struct { struct { struct { int x; }; }; }; struct moved nested[3]; };

int hook(struct moved *m, int flags) { return m->value + flags; }
int bpf_lsm_open(struct moved *m) { return 0; }
int bpf_iter_things(struct moved *m) { return 0; }
typedef void (*btf_trace_event)(void *, struct moved *);
u32 kernel_function(struct moved *m, u32 n) { return n; }
void other_prototype(int n) {}
struct moved kernel_variable;
u64 plain_variable;

struct ops { int (*one)(struct moved *); long flags; int (*two)(int); char name[8]; };
struct bpf_struct_ops_ops { u64 common[4]; struct ops data; };

/* So that the compiler describes them. */
struct keep {
  struct narrow a; struct bits b; struct twice___one c; struct twice___two d; struct same___one e;
  struct same___two f; struct has_more g; union choice h; enum color i; enum big j; count_t k;
  struct deep m; btf_trace_event n; struct bpf_struct_ops_ops o;
} keep;
struct flexible flexible = { 0 };
SEC("socket") int main_program(void *ctx) {
  return keep.i + flexible.len + hook(&kernel_variable, 1) + bpf_lsm_open(&kernel_variable) +
         bpf_iter_things(&kernel_variable) + kernel_function(&kernel_variable, plain_variable);
}
