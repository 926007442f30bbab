// flags: -mllvm -bpf-stack-size=4096
#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

struct event {
	__u32 pid;
	char comm[16];
	char path[512];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(1 << 16);
} events SEC(".maps");

// The event is made on the stack.
SEC("kprobe/do_unlinkat")
int BPF_KPROBE(event_on_stack, int dfd, void *name)
{
	struct event e = {};

	e.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_probe_read_kernel_str(e.path, sizeof(e.path), name);
	bpf_ringbuf_output(&events, &e, sizeof(e), 0);
	return 0;
}

static __noinline int third(struct __sk_buff *skb)
{
	char c[200];

	bpf_skb_load_bytes(skb, 0, c, sizeof(c));
	return c[1];
}

static __noinline int second(struct __sk_buff *skb)
{
	char b[200];

	bpf_skb_load_bytes(skb, 0, b, sizeof(b));
	return third(skb) + b[1];
}

// Three functions share 512 bytes.
SEC("tc")
int three_deep(struct __sk_buff *skb)
{
	char a[200];

	bpf_skb_load_bytes(skb, 0, a, sizeof(a));
	return second(skb) + a[1];
}

// A name and its hash table are on the stack.
SEC("tc")
int table_on_stack(struct __sk_buff *skb)
{
	__u64 table[64] = {};
	__u32 i = skb->hash & 63;
	char name[32] = {};

	bpf_skb_load_bytes(skb, 20, name, sizeof(name));
	table[i] = name[i & 31];
	return table[i ^ 1] == name[3];
}

// A function that calls itself.
static __noinline int depth(__u32 n)
{
	if (n == 0)
		return 0;
	return depth(n - 1) + depth(bpf_get_prandom_u32() & (n - 1)) * 3;
}

SEC("tc")
int recursion(struct __sk_buff *skb)
{
	return depth(skb->len & 7);
}
