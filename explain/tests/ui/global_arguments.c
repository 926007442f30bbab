#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

struct config {
	__u32 mode, level;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, struct config);
} configs SEC(".maps");

__noinline int level(struct config *c __attribute__((btf_decl_tag("arg:nonnull"))))
{
	return c->level;
}

// The function says that it takes no NULL.
SEC("tc")
int maybe_null_passed(struct __sk_buff *skb)
{
	__u32 key = skb->mark;

	return level(bpf_map_lookup_elem(&configs, &key));
}

__noinline int starts_with(const char *text, __u32 len)
{
	if (!text || len > 16)
		return 0;
	return text[len - 1] == '/';
}

// A pointer to a byte is a pointer to one byte.
SEC("tc")
int text_and_length(struct __sk_buff *skb)
{
	char text[16] = "etc/";

	return starts_with(text, 4);
}

__noinline int protocol(struct iphdr *ip)
{
	return ip ? ip->protocol : 0;
}

// A packet pointer is passed without a check.
SEC("xdp")
int packet_passed(struct xdp_md *ctx)
{
	return protocol((void *)(long)ctx->data + ETH_HLEN);
}

__noinline int pid_of(struct task_struct *task)
{
	return task ? task->pid : 0;
}

// A kernel object is passed where plain memory is expected.
SEC("tp_btf/task_newtask")
int BPF_PROG(task_passed, struct task_struct *task, __u64 flags)
{
	return pid_of(task);
}

__noinline int six(int a, int b, int c, int d, __u64 *e)
{
	return e ? a + b + c + d + *e : 0;
}

// A number is passed as a pointer.
SEC("tc")
int number_passed(struct __sk_buff *skb)
{
	return six(1, 2, 3, 4, (void *)(long)skb->mark);
}

__noinline void *first_of(void)
{
	__u32 key = 1;

	return bpf_map_lookup_elem(&configs, &key);
}

// Global functions return numbers.
SEC("tc")
int lookup_in_global(struct __sk_buff *skb)
{
	struct config *c = first_of();

	return c ? c->mode : 0;
}
