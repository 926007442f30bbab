// What the tasks of a container may do with devices: make any, use those that are harmless, and nothing else.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define BLOCK 1
#define CHAR 2
#define ANY (-1)

struct device {
	int major, minor;
};

// null, zero, full, random, urandom, tty, console, ptmx; pseudo terminals.
static const struct device harmless[] = {
	{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}, {136, ANY},
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct device);
	__type(value, __u64);
	__uint(max_entries, 1024);
} refused SEC(".maps");

SEC("cgroup/dev")
int devices(struct bpf_cgroup_dev_ctx *ctx)
{
	int kind = ctx->access_type & 0xffff, access = ctx->access_type >> 16;
	struct device device = {ctx->major, ctx->minor};
	__u64 one = 1, *count;
	int i;

	if (access == BPF_DEVCG_ACC_MKNOD)
		return 1;
	if (kind == CHAR)
		for (i = 0; i < (int)(sizeof(harmless) / sizeof(harmless[0])); i++)
			if (harmless[i].major == device.major &&
			    (harmless[i].minor == ANY || harmless[i].minor == device.minor))
				return 1;
	count = bpf_map_lookup_elem(&refused, &device);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&refused, &device, &one, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
