/* What an object expects of the kernel. SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fixture.h"

enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };
extern _Bool CONFIG_BOOL kconfig;
extern enum libbpf_tristate CONFIG_TRISTATE kconfig;
extern char CONFIG_CHAR kconfig;
extern u16 CONFIG_NUMBER kconfig;
extern char CONFIG_TEXT[8] kconfig;
extern u64 CONFIG_MISSING kconfig weak_symbol;
extern u32 LINUX_KERNEL_VERSION kconfig;
extern _Bool LINUX_HAS_BPF_COOKIE kconfig;
extern _Bool LINUX_HAS_SYSCALL_WRAPPER kconfig;

struct moved { int of_other_content; };
extern const struct moved kernel_variable ksym;
extern const struct moved no_such_variable ksym weak_symbol;
extern const void untyped_symbol ksym;
extern const void no_such_symbol ksym weak_symbol;
extern u32 kernel_function(struct moved *m, u32 n) ksym;
extern u32 kernel_function___flavour(struct moved *m, u32 n) ksym weak_symbol;
extern void no_such_function(int n) ksym weak_symbol;
extern void other_prototype(int n, int m) ksym weak_symbol;

SEC("socket") u64 config(void *ctx) {
  return CONFIG_BOOL + CONFIG_TRISTATE + CONFIG_CHAR + CONFIG_NUMBER + CONFIG_TEXT[1] + CONFIG_MISSING +
         LINUX_KERNEL_VERSION + LINUX_HAS_BPF_COOKIE + LINUX_HAS_SYSCALL_WRAPPER;
}
SEC("socket") u64 variables(void *ctx) {
  return (u64)&kernel_variable + (u64)&no_such_variable + (u64)&untyped_symbol + (u64)&no_such_symbol;
}
SEC("socket") int functions(void *ctx) { return kernel_function(ctx, 1) + kernel_function___flavour(ctx, 2); }
SEC("socket") int address(void *ctx) { return (u64)kernel_function + (u64)no_such_function != 0; }
SEC("socket") int missing(void *ctx) { no_such_function(1); return 0; }
SEC("socket") int different(void *ctx) { other_prototype(1, 2); return 0; }
