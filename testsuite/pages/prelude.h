/* What the C examples of docs/rejections need of <linux/bpf.h>, <linux/if_ether.h>, <linux/ip.h> and <bpf/bpf_helpers.h>. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
struct bpf_list_head { __u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_list_node { __u64 opaque[3]; } __attribute__((aligned(8)));
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
struct bpf_rb_root { __u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_rb_node { __u64 opaque[4]; } __attribute__((aligned(8)));
#endif

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) __typeof__(value) *name
#define __ksym __attribute__((section(".ksyms")))
#define __kptr __attribute__((btf_type_tag("kptr")))

/* The registers of an x86-64 CPU, as kprobes get them. */
struct pt_regs {
    unsigned long r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss;
};

#define HELPER(number, result, name, ...) static result (*const name)(__VA_ARGS__) = (void *)number
HELPER(1, void *, bpf_map_lookup_elem, void *map, const void *key);
HELPER(3, long, bpf_map_delete_elem, void *map, const void *key);
HELPER(5, __u64, bpf_ktime_get_ns, void);
HELPER(6, long, bpf_trace_printk, const char *format, __u32 size, ...);
HELPER(12, long, bpf_tail_call, void *ctx, void *map, __u32 index);
HELPER(25, long, bpf_perf_event_output, void *ctx, void *map, __u64 flags, void *data, __u64 size);
HELPER(26, long, bpf_skb_load_bytes, const void *skb, __u32 offset, void *to, __u32 size);
HELPER(39, long, bpf_skb_pull_data, struct __sk_buff *skb, __u32 size);
HELPER(84, struct bpf_sock *, bpf_sk_lookup_tcp, void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns, __u64 flags);
HELPER(86, long, bpf_sk_release, void *sock);
HELPER(93, long, bpf_spin_lock, struct bpf_spin_lock *lock);
HELPER(94, long, bpf_spin_unlock, struct bpf_spin_lock *lock);
HELPER(95, struct bpf_sock *, bpf_sk_fullsock, struct bpf_sock *sk);
HELPER(113, long, bpf_probe_read_kernel, void *to, __u32 size, const void *from);
HELPER(130, long, bpf_ringbuf_output, void *map, void *data, __u64 size, __u64 flags);
HELPER(131, void *, bpf_ringbuf_reserve, void *map, __u64 size, __u64 flags);
HELPER(132, void, bpf_ringbuf_submit, void *data, __u64 flags);
HELPER(133, void, bpf_ringbuf_discard, void *data, __u64 flags);
HELPER(148, long, bpf_copy_from_user, void *to, __u32 size, const void *from);
HELPER(164, long, bpf_for_each_map_elem, void *map, void *callback, void *ctx, __u64 flags);
HELPER(169, long, bpf_timer_init, struct bpf_timer *timer, void *map, __u64 flags);
HELPER(181, long, bpf_loop, __u32 rounds, void *callback, void *ctx, __u64 flags);
HELPER(182, long, bpf_strncmp, const char *a, __u32 size, const char *b);
HELPER(194, void *, bpf_kptr_xchg, void *field, void *pointer);
HELPER(197, long, bpf_dynptr_from_mem, void *data, __u32 size, __u64 flags, struct bpf_dynptr *view);
HELPER(201, long, bpf_dynptr_read, void *to, __u32 size, const struct bpf_dynptr *view, __u32 offset, __u64 flags);
