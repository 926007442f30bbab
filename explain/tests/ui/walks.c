#include "common.h"
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

// Walks through memory whose end or layout the verifier does not know.

// Struct tags with three underscores stand for the kernel's struct.
struct qstr___own {
	const unsigned char *name;
} KERNEL;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(1024);
	__type(key, __u64);
	__type(value, struct sock *);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(1024);
	__uint(key_size, 64);
	__type(value, __u64);
} failed SEC(".maps");

__u16 number;
static const char names[134][64] = { "ok", "not permitted", "not found" };

// The kernel's tree says when the walk ends.
SEC("fentry/vfs_unlink")
int BPF_PROG(up_to_root, void *idmap, struct inode *dir, struct dentry *dentry)
{
	int depth = 0;

	while (dentry != dentry->d_parent) {
		dentry = dentry->d_parent;
		depth++;
	}
	bpf_printk("%d", depth);
	return 0;
}

// Members of a variable are accessed where the kernel's struct has them.
SEC("kprobe/vfs_open")
int BPF_KPROBE(relocated_variable, struct path *path)
{
	struct qstr___own name;

	bpf_probe_read_kernel(&name, sizeof(name), &BPF_CORE_READ(path, dentry)->d_name);
	if (name.name)
		number++;
	return 0;
}

// A pointer that was kept in a map comes back as a number; the member lies in a struct inside of another.
SEC("kretprobe/tcp_v4_connect")
int BPF_KRETPROBE(socket_of_entry, int ret)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct sock **kept = bpf_map_lookup_elem(&sockets, &id);

	if (!kept)
		return 0;
	struct sock *sk = *kept;
	number = sk->__sk_common.skc_num;
	bpf_map_delete_elem(&sockets, &id);
	return 0;
}

// An error number as an index, compared from above alone.
SEC("tracepoint/syscalls/sys_exit_write")
int name_of_error(struct { __u64 pad; long nr, ret; } *ctx)
{
	__u64 one = 1;
	int err = -ctx->ret;
	const char *name = names[0];

	if (err < 134)
		name = names[err];
	bpf_map_update_elem(&failed, name, &one, BPF_ANY);
	return 0;
}

// Two checks that the compiler makes one of.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(8);
	__type(key, __u32);
	__type(value, __u64);
} limits SEC(".maps");

SEC("tc")
int either_missing(struct __sk_buff *skb)
{
	__u32 first = 0, second = 1;
	__u64 *low = bpf_map_lookup_elem(&limits, &first);
	__u64 *high = bpf_map_lookup_elem(&limits, &second);

	if (!low && !high)
		return 0;
	return skb->len > *low && skb->len < *high ? 2 : 0;
}

// Pointers in an array, of which all but one are checked.
SEC("tc")
int last_unchecked(struct __sk_buff *skb)
{
	__u64 *p[4], sum = 0;

	for (__u32 i = 0; i < 4; i++) {
		__u32 key = i;

		p[i] = bpf_map_lookup_elem(&limits, &key);
	}
	if (!p[0] || !p[1] || !p[2])
		return 0;
	for (int i = 0; i < 4; i++)
		sum += *p[i];
	return sum > 100 ? 2 : 0;
}
