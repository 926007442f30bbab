// Keeps everyone but root from opening a file by its name, wherever it lies.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define EPERM 1

struct qstr {
	const unsigned char *name;
} __attribute__((preserve_access_index));

struct dentry {
	struct qstr d_name;
} __attribute__((preserve_access_index));

struct path {
	struct dentry *dentry;
} __attribute__((preserve_access_index));

struct file {
	struct path f_path;
} __attribute__((preserve_access_index));

struct name {
	char text[32];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct name);
	__type(value, __u64);
	__uint(max_entries, 64);
} secret SEC(".maps");

SEC("lsm/file_open")
int BPF_PROG(keep_secret, struct file *file, int ret)
{
	struct name name = {};
	__u64 *tries;

	// Another program has denied it already.
	if (ret)
		return ret;
	bpf_probe_read_kernel_str(name.text, sizeof(name.text), file->f_path.dentry->d_name.name);
	tries = bpf_map_lookup_elem(&secret, &name);
	if (!tries)
		return 0;
	__sync_fetch_and_add(tries, 1);
	if ((__u32)bpf_get_current_uid_gid() == 0)
		return 0;
	bpf_printk("user %d may not open %s", (__u32)bpf_get_current_uid_gid(), name.text);
	return -EPERM;
}

char LICENSE[] SEC("license") = "GPL";
