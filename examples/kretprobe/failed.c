// Tells which removals of files fail: the task and the error.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct failure {
	__u32 pid;
	__s32 error;
	char comm[16];
};

const struct failure *record_type __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} failures SEC(".maps");

SEC("kretprobe/vfs_unlink")
int BPF_KRETPROBE(unlinked, int ret)
{
	struct failure f = { bpf_get_current_pid_tgid() >> 32, ret };

	if (ret >= 0)
		return 0;
	bpf_get_current_comm(f.comm, sizeof(f.comm));
	bpf_perf_event_output(ctx, &failures, BPF_F_CURRENT_CPU, &f, sizeof(f));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
