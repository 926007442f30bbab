#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

// Paths can be asked for at certain functions only.
SEC("kprobe/vfs_open")
int BPF_KPROBE(path_in_kprobe, struct path *path)
{
	char text[32];

	return bpf_d_path(path, text, sizeof(text)) & 0;
}

// A checksum helper of tc in XDP.
SEC("xdp")
int checksum_in_xdp(struct xdp_md *ctx)
{
	bpf_l4_csum_replace((void *)ctx, 50, 0, 1, 4);
	return XDP_PASS;
}

// A tracing program cannot send packets elsewhere.
SEC("kprobe/ip_rcv")
int redirect_in_kprobe(struct pt_regs *ctx)
{
	return bpf_redirect(2, 0);
}

// This may fault, and the hook may not sleep.
SEC("fentry/do_unlinkat")
int BPF_PROG(sleeps, int dfd, void *name)
{
	char path[16];

	bpf_copy_from_user(path, sizeof(path), name);
	bpf_printk("%s", path);
	return 0;
}

// The return value can only be changed at functions that allow it.
SEC("kprobe/do_exit")
int override_exit(struct pt_regs *ctx)
{
	bpf_override_return(ctx, -1);
	return 0;
}

// A number that no helper of this kernel has.
static long (*newer)(void *ctx) = (void *)900;

SEC("tc")
int newer_helper(struct __sk_buff *skb)
{
	return newer(skb);
}
