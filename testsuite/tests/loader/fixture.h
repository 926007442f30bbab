/* What the fixtures need of libbpf's headers. SPDX-License-Identifier: MIT OR Apache-2.0 */
#pragma once
typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef short s16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define weak_symbol __attribute__((weak))
#define hidden __attribute__((visibility("hidden")))
#define noinline __attribute__((noinline))
#define core __attribute__((preserve_access_index))
#define ksym __attribute__((section(".ksyms")))
#define kconfig __attribute__((section(".kconfig")))
#define tag(text) __attribute__((btf_decl_tag(text)))
#define uint(name, value) int(*name)[value]
#define type(name, value) typeof(value) *name
#define array(name, value) typeof(value) *name[]
#define ulong_line(name, line, value) enum { name##line = value } name
#define ulong_at(name, line, value) ulong_line(name, line, value)
#define ulong(name, value) ulong_at(name, __LINE__, value)

enum { BYTE_OFFSET, BYTE_SIZE, EXISTS, SIGNED, LSHIFT, RSHIFT };
#define field(f, kind) __builtin_preserve_field_info(f, kind)
#define type_info(t, kind) __builtin_preserve_type_info(*(t *)0, kind)
#define type_id(t, kind) __builtin_btf_type_id(*(t *)0, kind)
#define enumerator(t, e, kind) __builtin_preserve_enum_value(*(t *)e, kind)

char license_text[] SEC("license") = "Dual MIT/GPL";
