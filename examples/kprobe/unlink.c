// Tells who removes files under /var/log.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct filename {
	const char *name;
} __attribute__((preserve_access_index));

struct removal {
	__u32 pid;
	char comm[16];
	char path[64];
};

// Keeps the type of the records among the object's types, where readers look for it.
const struct removal *record_type __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} removed SEC(".maps");

static const char logs[] = "/var/log/";
__u64 others;

SEC("kprobe/do_unlinkat")
int BPF_KPROBE(watch_logs, int dir, struct filename *name)
{
	struct removal *r;
	char path[64] = {};

	bpf_probe_read_kernel_str(path, sizeof(path), BPF_CORE_READ(name, name));
	if (bpf_strncmp(path, sizeof(logs) - 1, logs)) {
		__sync_fetch_and_add(&others, 1);
		return 0;
	}
	r = bpf_ringbuf_reserve(&removed, sizeof(*r), 0);
	if (!r)
		return 0;
	r->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	__builtin_memcpy(r->path, path, sizeof(path));
	bpf_printk("%s removes %s", r->comm, path);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
