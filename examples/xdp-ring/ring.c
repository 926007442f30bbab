// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts packets by length in a window of classes that user space moves. The index is checked against the window's end,
// which is itself checked against the array: kernels before 6.8 learn nothing from the first comparison.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define CLASSES 64

struct window {
	__u32 end;
	__u32 pad;
	__u64 packets[CLASSES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct window);
} windows SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u64 length = ctx->data_end - ctx->data;
	__u64 class = length / 64;
	__u32 zero = 0;
	struct window *window = bpf_map_lookup_elem(&windows, &zero);

	if (!window)
		return XDP_ABORTED;
	__u64 end = window->end;

	if (end > CLASSES)
		return XDP_PASS;
	if (class >= end)
		return XDP_PASS;
	window->packets[class]++;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
