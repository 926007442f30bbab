#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

const volatile __u32 threshold = 10;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, __u32);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_WRONLY_PROG);
	ENTRIES(4);
	__type(key, __u32);
	__type(value, __u32);
} results SEC(".maps");

// A constant is raised.
SEC("tc")
int raised_constant(struct __sk_buff *skb)
{
	if (skb->len > threshold)
		*(volatile __u32 *)&threshold = skb->len;
	return 0;
}

// The setting is written by the program.
SEC("tc")
int written_setting(struct __sk_buff *skb)
{
	__u32 key = skb->mark & 3;
	__u32 *v = bpf_map_lookup_elem(&settings, &key);

	if (v)
		*v = skb->len;
	return 0;
}

// The map is updated by a helper.
SEC("tc")
int updated_setting(struct __sk_buff *skb)
{
	__u32 key = skb->mark & 3, value = skb->len;

	return bpf_map_update_elem(&settings, &key, &value, 0);
}

// The map is only for writing.
SEC("tc")
int read_result(struct __sk_buff *skb)
{
	__u32 key = 1;
	__u32 *v = bpf_map_lookup_elem(&results, &key);

	return v ? *v : 0;
}

// Programs of this type may look at the packet.
SEC("cgroup_skb/ingress")
int changed_packet(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + 20 > end)
		return 1;
	data[8] = 64;
	return 1;
}

// Text is put where a constant is.
SEC("kprobe/do_unlinkat")
int BPF_KPROBE(read_into_constant, int dfd, void *name)
{
	static const char path[16] = "unknown";

	bpf_probe_read_kernel_str((void *)path, sizeof(path), name);
	bpf_printk("%s", path);
	return 0;
}
