#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

// Programs whose remedy is more than a comparison in the line before.

struct entry_event {
	__u64 common;
	int id;
	__u64 args[6];
};

struct exec_event {
	__u64 common;
	__u32 text;
	int pid, old_pid;
};

struct buffer {
	int len;
	char text[4096];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct buffer);
} heap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(1024);
	__type(key, __u32);
	__type(value, __u32);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	ENTRIES(1024);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

struct bucket {
	struct bpf_spin_lock lock;
	__u64 tokens, last;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(16);
	__type(key, __u32);
	__type(value, struct bucket);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

__u64 seen;

// The smaller of two is taken as a signed number, and used from memory.
SEC("tracepoint/syscalls/sys_exit_read")
int result_as_size(struct entry_event *ctx)
{
	__u32 zero = 0;
	struct buffer *b = bpf_map_lookup_elem(&heap, &zero);
	long result = ctx->args[0];

	if (!b)
		return 0;
	b->len = result < 4096 ? result : 4096;
	bpf_probe_read_user(b->text, b->len, (void *)ctx->args[1]);
	return 0;
}

// A length that may be zero, and larger than the buffer.
SEC("tc")
int rest_into_buffer(struct __sk_buff *skb)
{
	__u32 zero = 0, len = skb->len - 54;
	struct buffer *b = bpf_map_lookup_elem(&heap, &zero);

	if (!b)
		return 0;
	bpf_skb_load_bytes(skb, 54, b->text, len);
	return 0;
}

// The text of an event lies behind its fields.
SEC("tracepoint/sched/sched_process_exec")
int text_of_event(struct exec_event *ctx)
{
	const char *name = (char *)ctx + (ctx->text & 0xffff);

	if (name[0] == '/')
		seen++;
	return 0;
}

// It is passed to a helper.
SEC("tracepoint/sched/sched_process_exec")
int text_as_key(struct exec_event *ctx)
{
	void *name = (char *)ctx + (ctx->text & 0xffff);
	__u32 *n = bpf_map_lookup_elem(&counts, name);

	if (n)
		*n += 1;
	return 0;
}

// The number is passed in the place of its address.
SEC("tracepoint/sched/sched_process_exec")
int number_as_key(struct exec_event *ctx)
{
	__u32 *n = bpf_map_lookup_elem(&counts, (void *)(long)ctx->old_pid);

	if (n)
		*n += 1;
	return 0;
}

// The clock is read under a lock.
SEC("tc")
int clock_under_lock(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct bucket *b = bpf_map_lookup_elem(&buckets, &key);

	if (!b)
		return 0;
	bpf_spin_lock(&b->lock);
	__u64 now = bpf_ktime_get_ns();
	if (now - b->last > 1000000) {
		b->tokens = 100;
		b->last = now;
	}
	bpf_spin_unlock(&b->lock);
	return 0;
}

static long send_number(__u64 i, void *arg)
{
	bpf_perf_event_output(arg, &events, BPF_F_CURRENT_CPU, &i, sizeof(i));
	return 0;
}

// The callback shall get the context.
SEC("tracepoint/sched/sched_switch")
int context_for_callback(void *ctx)
{
	bpf_loop(4, send_number, ctx, 0);
	return 0;
}

// The context of a program on sockets is no socket to the general helper.
SEC("sockops")
int socket_into_map(struct bpf_sock_ops *ops)
{
	__u32 key = ops->local_port;

	if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		bpf_map_update_elem(&sockets, &key, ops, BPF_ANY);
	return 0;
}

// The packet grows, and a header from before is copied.
SEC("xdp")
int header_from_before(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *old = data, *new;

	if ((void *)(old + 1) > data_end)
		return XDP_DROP;
	if (bpf_xdp_adjust_head(ctx, -20))
		return XDP_DROP;
	new = (void *)(long)ctx->data;
	if ((void *)(new + 1) > data_end)
		return XDP_DROP;
	new->h_proto = old->h_proto;
	return XDP_TX;
}

// An index is used before the loop tests it.
SEC("tracepoint/sched/sched_switch")
int length_of_text(void *ctx)
{
	__u32 zero = 0, n = 0;
	struct buffer *b = bpf_map_lookup_elem(&heap, &zero);

	if (!b)
		return 0;
	while (b->text[n] == ' ')
		n++;
	seen = n;
	return 0;
}

// A record is left on two paths, one of which jumps to the end.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(4096);
} ring SEC(".maps");

SEC("tracepoint/sched/sched_process_exec")
int left_on_two_paths(struct exec_event *ctx)
{
	struct buffer *b = bpf_ringbuf_reserve(&ring, sizeof(*b), 0);

	if (!b)
		return 0;
	b->len = ctx->pid;
	if (bpf_get_current_comm(b->text, 16))
		return 1;
	if (bpf_probe_read_kernel_str(b->text, 64, (void *)ctx + (ctx->text & 0xffff)) < 0)
		goto out;
	bpf_ringbuf_submit(b, 0);
out:
	return 0;
}

// Memory of the process is read by a helper that may sleep.
SEC("kprobe/do_unlinkat")
int copy_that_sleeps(struct pt_regs *ctx)
{
	char name[16] = {};

	bpf_copy_from_user(name, sizeof(name), (void *)ctx->si);
	return name[0] == '/';
}

// Three arguments of a function that has two, and its result.
SEC("fexit/do_unlinkat")
int BPF_PROG(result_too_far, int fd, void *name, long more, long result)
{
	seen += result;
	return 0;
}

// The value is smaller than the number that is counted in it.
SEC("tc")
int wide_counter(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	__u64 *n = bpf_map_lookup_elem(&counts, &key);

	if (n)
		*n += 1;
	return 0;
}

// A buffer is compared before it is filled.
SEC("tracepoint/sched/sched_switch")
int filled_too_late(void *ctx)
{
	char name[16];
	const char wanted[] = "nginx";

	for (int i = 0; i < sizeof(wanted); i++)
		if (name[i] != wanted[i])
			return 0;
	bpf_get_current_comm(name, sizeof(name));
	seen++;
	return 0;
}

// The text that is compared with lies on the stack.
SEC("tracepoint/sched/sched_switch")
int text_on_stack(void *ctx)
{
	char name[16], wanted[16] = "bash";

	bpf_get_current_comm(name, sizeof(name));
	if (bpf_strncmp(name, sizeof(name), wanted) == 0)
		seen++;
	return 0;
}

struct packed {
	__u8 kind;
	__u64 count;
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct packed);
} last SEC(".maps");

// An atomic addition to a member of a packed struct.
SEC("tc")
int packed_counter(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct packed *p = bpf_map_lookup_elem(&last, &key);

	if (p)
		__sync_fetch_and_add(&p->count, 1);
	return 0;
}

// The offset comes from a map, by a pointer.
SEC("xdp")
int offset_from_map(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__u32 key = 0;
	struct bucket *b = bpf_map_lookup_elem(&buckets, &key);
	__u8 *p;

	if (!b)
		return XDP_PASS;
	p = data + b->tokens;
	if ((void *)(p + 1) > data_end)
		return XDP_PASS;
	return *p ? XDP_PASS : XDP_DROP;
}
