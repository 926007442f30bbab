// Counts how long opens of files take and which of them fail, by user.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct filename {
	const char *name;
} __attribute__((preserve_access_index));

struct open_how;

struct opens {
	__u64 good;
	__u64 failed;
	__s64 last_error;
	char last_failed[32];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct opens);
	__uint(max_entries, 1024);
} by_user SEC(".maps");

SEC("fexit/do_sys_openat2")
int BPF_PROG(opened, int dir, const char *name, struct open_how *how, long ret)
{
	__u32 uid = bpf_get_current_uid_gid();
	struct opens empty = {}, *o;

	bpf_map_update_elem(&by_user, &uid, &empty, BPF_NOEXIST);
	o = bpf_map_lookup_elem(&by_user, &uid);
	if (!o)
		return 0;
	if (ret >= 0) {
		o->good++;
		return 0;
	}
	o->failed++;
	o->last_error = ret;
	bpf_probe_read_user_str(o->last_failed, sizeof(o->last_failed), name);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
