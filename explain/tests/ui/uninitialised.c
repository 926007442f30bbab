#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

// The program's parameters are those of the system call, as another tool has them.
SEC("kprobe/__x64_sys_openat")
int syscall_parameters(struct pt_regs *ctx, int dfd, const char *name, int flags)
{
	char path[32] = {};

	bpf_probe_read_user_str(path, sizeof(path), name);
	bpf_printk("%s %d", path, flags);
	return 0;
}

// A fentry program is declared with the function's parameters as they are.
SEC("fentry/do_unlinkat")
int plain_parameters(int dfd, void *name)
{
	bpf_printk("%d %p", dfd, name);
	return 0;
}

// A function written in assembly keeps a value in a register that calls do not keep.
SEC("tc")
__attribute__((naked)) int kept_in_r2(void)
{
	asm volatile("r2 = *(u32 *)(r1 + 0);"
		     "call 7;"
		     "r0 = r2;"
		     "exit");
}

// The flags of the update are left out.
static long (*update)(void *map, const void *key, const void *value) = (void *)BPF_FUNC_map_update_elem;

SEC("tc")
int flags_left_out(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	__u64 one = 1;

	return update(&counts, &key, &one);
}
