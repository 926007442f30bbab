#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

// The terminating zero is written behind what was read, which may be an error.
SEC("kprobe/do_unlinkat")
int BPF_KPROBE(zero_after_text, int dfd, const char *name)
{
	char path[64];
	int n = bpf_probe_read_user_str(path, sizeof(path), name);

	path[n - 1] = '/';
	bpf_printk("%s", path);
	return 0;
}

// Digits are written from the end of a buffer.
SEC("tc")
int digits(struct __sk_buff *skb)
{
	char text[12] = {};
	int at = skb->mark;
	__u32 n = skb->len;

	while (n && at > 0) {
		text[at] = '0' + n % 10;
		n /= 10;
		at--;
		if (at < -4)
			break;
	}
	bpf_printk("%s", text);
	return 0;
}

// The length in the packet is where the buffer ends.
SEC("tc")
int length_of_name(struct __sk_buff *skb)
{
	char name[32] = {};
	__u8 len = 0;

	bpf_skb_load_bytes(skb, 54, &len, 1);
	bpf_skb_load_bytes(skb, 55, name, sizeof(name));
	name[len] = 0;
	bpf_printk("%s", name);
	return 0;
}

// The table has ten entries, the mask allows sixteen.
SEC("tc")
int table_of_weights(struct __sk_buff *skb)
{
	__u32 weights[10] = { 1, 2, 3, 5, 8, 13, 21, 34, 55, 89 };

	asm volatile("" : : "r"(weights) : "memory");
	return weights[skb->hash & 15];
}

// A part of the packet is copied to where a variable says.
SEC("tc")
int copied_behind(struct __sk_buff *skb)
{
	char line[64] = "from ";
	__u32 at = skb->priority;

	if (at > 63)
		return 0;
	bpf_skb_load_bytes(skb, 0, line + at, 16);
	bpf_printk("%s", line);
	return 0;
}
