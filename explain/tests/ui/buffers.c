#include "common.h"
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

// Buffers that are filled by helpers: sizes and places that a number decides.

#define PATH 4096

struct path_buffer {
	__u32 off;
	char data[PATH];
};

struct message {
	__u32 len;
	char text[PATH];
};

struct arguments {
	__u32 size;
	char text[7680];
};

struct record {
	__u32 pid;
	char comm[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct path_buffer);
} paths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct message);
} messages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct arguments);
} lines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(1 << 16);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

// The start is inside of the buffer, the end of what is read need not be.
static __always_inline void append(struct path_buffer *b, const char *part)
{
	__u32 off = b->off;
	long n;

	if (off > PATH - 1)
		return;
	n = bpf_probe_read_kernel_str(&b->data[off], 256, part);
	if (n > 0)
		b->off += n;
}

SEC("kprobe/vfs_open")
int BPF_KPROBE(appended_path, struct path *path)
{
	__u32 zero = 0;
	struct path_buffer *b = bpf_map_lookup_elem(&paths, &zero);

	if (!b)
		return 0;
	b->off = 0;
	append(b, (const char *)BPF_CORE_READ(path, dentry, d_name.name));
	append(b, (const char *)BPF_CORE_READ(path, dentry, d_parent, d_name.name));
	return 0;
}

// A mask bounds the size, by more than the buffer has.
SEC("uretprobe//lib/libssl.so.3:SSL_read")
int BPF_URETPROBE(masked_size, int n)
{
	__u32 zero = 0;
	struct message *m = bpf_map_lookup_elem(&messages, &zero);

	if (!m || n <= 0)
		return 0;
	m->len = n;
	bpf_probe_read_user(m->text, n & 0xffff, (void *)PT_REGS_SP(ctx));
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, m, sizeof(*m));
	return 0;
}

// What was read so far decides where the next argument goes.
SEC("tracepoint/syscalls/sys_enter_execve")
int argument_list(struct { __u64 pad; long nr; unsigned long args[6]; } *ctx)
{
	const char **argv = (const char **)ctx->args[1];
	__u32 zero = 0;
	struct arguments *a = bpf_map_lookup_elem(&lines, &zero);

	if (!a)
		return 0;
	a->size = 0;
	for (int i = 0; i < 20; i++) {
		const char *arg = 0;

		bpf_probe_read_user(&arg, sizeof(arg), &argv[i]);
		if (!arg)
			break;
		long n = bpf_probe_read_user_str(&a->text[a->size], 128, arg);
		if (n > 0)
			a->size += n;
	}
	return 0;
}

// A signed parameter of 32 bits is the size.
SEC("uprobe//usr/bin/memcached:process_get")
int BPF_UPROBE(length_of_key, void *conn, const char *key, int len)
{
	char text[80] = {};

	bpf_probe_read_user(text, len, key);
	return text[0] == 'x';
}

// The difference of two pointers of the packet is the size.
SEC("tc")
int rest_of_packet(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 zero = 0, len;
	struct message *m = bpf_map_lookup_elem(&messages, &zero);

	if (!m || data + 54 > end)
		return 0;
	len = (__u32)(end - (data + 54));
	if (len > PATH)
		len = PATH;
	if (bpf_skb_load_bytes(skb, 54, m->text, len) < 0)
		return 0;
	return m->text[0] == 0x16 ? 2 : 0;
}

// A record of variable size.
SEC("tc")
int record_with_payload(struct __sk_buff *skb)
{
	__u32 len = skb->len;
	struct record *r;

	if (len > 512)
		len = 512;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r) + len, 0);
	if (!r)
		return 0;
	r->pid = len;
	bpf_ringbuf_submit(r, 0);
	return 0;
}

// The member is shorter than the kernel's names are.
SEC("tracepoint/sched/sched_process_exec")
int name_too_long(void *ctx)
{
	struct record *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);

	if (!r)
		return 0;
	bpf_get_current_comm(r->comm, 16);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

// The size of another struct than that of the variable.
SEC("tracepoint/sched/sched_process_exec")
int other_struct(void *ctx)
{
	struct record r = {};

	r.pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(r.comm, sizeof(r.comm));
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &r, sizeof(struct path_buffer) / 8);
	return 0;
}

// What a callback counts is its index.
struct seen {
	__u32 n;
	__u32 keys[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, __u32);
} items SEC(".maps");

static long collect(void *map, const __u32 *key, __u32 *value, struct seen *s)
{
	s->keys[s->n] = *key;
	s->n++;
	return 0;
}

SEC("tc")
int counted_in_callback(struct __sk_buff *skb)
{
	struct seen s = {};

	bpf_for_each_map_elem(&items, collect, &s, 0);
	return s.keys[0];
}

// The number comes from a remainder of which nothing is known.
struct backends {
	__u32 n;
	__u32 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	ENTRIES(1);
	__type(key, __u32);
	__type(value, struct backends);
} pool SEC(".maps");

SEC("tc")
int picked(struct __sk_buff *skb)
{
	__u32 zero = 0, i;
	struct backends *b = bpf_map_lookup_elem(&pool, &zero);

	if (!b || !b->n)
		return 0;
	i = skb->hash % b->n;
	skb->mark = b->address[i];
	return 0;
}
