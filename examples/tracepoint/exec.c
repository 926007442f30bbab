// Tells of every program that is executed: who did it, what is executed and with which arguments.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define MAX_ARGS 6
#define ARG_LEN 32

struct trace_event_raw_sys_enter {
	unsigned long long common;
	long id;
	unsigned long args[6];
} __attribute__((preserve_access_index));

struct exec_event {
	__u32 pid;
	__u32 uid;
	char comm[16];
	char file[64];
	__u32 count;
	char args[MAX_ARGS][ARG_LEN];
};

// Keeps the type of the records among the object's types, where readers look for it.
const struct exec_event *record_type __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} executed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1024);
} by_user SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_execve")
int trace_exec(struct trace_event_raw_sys_enter *ctx)
{
	const char *file = (const char *)ctx->args[0];
	const char *const *args = (const char *const *)ctx->args[1];
	__u32 uid = bpf_get_current_uid_gid();
	__u64 one = 1, *seen;
	struct exec_event *e;

	seen = bpf_map_lookup_elem(&by_user, &uid);
	if (seen)
		__sync_fetch_and_add(seen, 1);
	else
		bpf_map_update_elem(&by_user, &uid, &one, BPF_ANY);

	e = bpf_ringbuf_reserve(&executed, sizeof(*e), 0);
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->uid = uid;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_probe_read_user_str(e->file, sizeof(e->file), file);
	for (int i = 0; i < MAX_ARGS; i++) {
		const char *arg = 0;

		if (bpf_probe_read_user(&arg, sizeof(arg), &args[i]) || !arg)
			break;
		bpf_probe_read_user_str(e->args[i], ARG_LEN, arg);
		e->count++;
	}
	bpf_ringbuf_submit(e, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
