#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

// An error number from a hook that says yes or no.
SEC("cgroup/bind4")
int error_number(struct bpf_sock_addr *ctx)
{
	return ctx->user_port == bpf_htons(22) ? -13 : 1;
}

// LSM hooks return zero or a negative error number.
SEC("lsm/file_open")
int BPF_PROG(positive_error, struct file *file)
{
	return file->f_inode->i_ino == 2 ? 13 : 0;
}

// What is returned is the number of bytes that were read.
SEC("lsm/bprm_check_security")
int BPF_PROG(length_as_verdict, struct linux_binprm *bprm)
{
	char name[16];

	return bpf_probe_read_kernel_str(name, sizeof(name), bprm->filename);
}

// Entry programs return zero.
SEC("fentry/do_unlinkat")
int BPF_PROG(entry_returns, int dfd)
{
	return dfd;
}

// A verdict of XDP from a program of a control group.
SEC("cgroup_skb/ingress")
int verdict_of_xdp(struct __sk_buff *skb)
{
	return skb->len > 1000 ? XDP_REDIRECT : XDP_PASS;
}
