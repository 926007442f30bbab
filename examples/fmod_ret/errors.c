// Lets each third read of a process fail, so that one sees what its code does then.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define EIO 5

const volatile __u32 target;
__u32 reads;

SEC("fmod_ret/security_file_permission")
int BPF_PROG(fail_reads, void *file, int mask, int ret)
{
	if (bpf_get_current_pid_tgid() >> 32 != target)
		return 0;
	reads++;
	return reads % 3 == 0 ? -EIO : 0;
}

char LICENSE[] SEC("license") = "GPL";
