#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

struct event {
	__u32 pid;
	__u32 len;
	char data[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(1 << 16);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct event);
} scratch SEC(".maps");

static struct event *event(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

// A length that a helper returned may be an error.
SEC("kprobe/do_unlinkat")
int BPF_KPROBE(returned_length, int dfd, void *name)
{
	struct event *e = event();
	int n;

	if (!e)
		return 0;
	n = bpf_probe_read_kernel_str(e->data, sizeof(e->data), name);
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, e->data, n);
	return 0;
}

// The argument of the traced function is the size of the copy.
SEC("kprobe/vfs_write")
int BPF_KPROBE(argument_as_size, void *file, const char *buf, __u64 count)
{
	struct event *e = event();

	if (!e)
		return 0;
	bpf_probe_read_user(e->data, count, buf);
	return 0;
}

// The size is bounded by more than the buffer has.
SEC("kprobe/vfs_write")
int BPF_KPROBE(bounded_by_page, void *file, const char *buf, __u64 count)
{
	struct event *e = event();

	if (!e)
		return 0;
	if (count > 4096)
		count = 4096;
	bpf_probe_read_user(e->data, count, buf);
	return 0;
}

// The size is bounded as a signed number.
SEC("kprobe/vfs_write")
int BPF_KPROBE(signed_count, void *file, const char *buf, int count)
{
	struct event *e = event();

	if (!e)
		return 0;
	if (count < (int)sizeof(e->data))
		bpf_probe_read_user(e->data, count, buf);
	return 0;
}

// A record's size is computed.
SEC("kprobe/vfs_write")
int BPF_KPROBE(computed_record, void *file, const char *buf, __u64 count)
{
	char *record = bpf_ringbuf_reserve(&ring, 8 + (count & 63), 0);

	if (record)
		bpf_ringbuf_discard(record, 0);
	return 0;
}

// An empty packet would be sent with a size of zero.
SEC("tc")
int empty_output(struct __sk_buff *skb)
{
	char data[64] = {};
	__u32 len = skb->len;

	if (len > sizeof(data))
		len = sizeof(data);
	if (bpf_skb_load_bytes(skb, 0, data, len))
		return 0;
	return data[0];
}

// The mask leaves the size of zero in.
SEC("tc")
int masked_to_zero(struct __sk_buff *skb)
{
	struct event *e = event();

	if (!e)
		return 0;
	bpf_skb_load_bytes(skb, 14, e->data, (skb->len - 14) & 0x7f);
	return e->data[0];
}

// The comparison of the size comes after it was used.
SEC("kprobe/tcp_sendmsg")
int BPF_KPROBE(compared_after_use, void *sk, void *msg, __u64 size)
{
	struct event *e = event();

	if (!e)
		return 0;
	e->len = size;
	bpf_probe_read_kernel(e->data, e->len, msg);
	if (e->len > sizeof(e->data))
		return 0;
	bpf_ringbuf_output(&ring, e, sizeof(*e), 0);
	return 0;
}

// What is sent is one member longer than the struct.
SEC("kprobe/do_exit")
int longer_than_struct(struct pt_regs *ctx)
{
	struct event *e = event();

	if (!e)
		return 0;
	bpf_ringbuf_output(&ring, &e->len, sizeof(*e), 0);
	return 0;
}

// The stack trace is sent with the length that getting it returned.
SEC("kprobe/do_exit")
int stack_trace(struct pt_regs *ctx)
{
	struct event *e = event();
	long n;

	if (!e)
		return 0;
	n = bpf_get_stack(ctx, e->data, sizeof(e->data), 0);
	if (n == 0)
		return 0;
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, e, n + 8);
	return 0;
}
