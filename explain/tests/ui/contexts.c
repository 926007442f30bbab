#include "common.h"
#include "kernel.h"
#include <bpf/bpf_tracing.h>

// The hook passes one argument fewer.
SEC("tp_btf/sched_process_exit")
int BPF_PROG(argument_of_newer_kernel, struct task_struct *task, long group_dead, long code, long more)
{
	return more == 9;
}

// The return value is only there where the function has returned.
SEC("fentry/do_unlinkat")
int BPF_PROG(result_at_entry, int dfd, void *name, long ret)
{
	bpf_printk("%ld", ret);
	return 0;
}

// A field that only egress programs have.
SEC("xdp")
int egress_field(struct xdp_md *ctx)
{
	return ctx->egress_ifindex == 3 ? XDP_DROP : XDP_PASS;
}

// The address is written by a program for IPv6.
SEC("cgroup/connect4")
int sixth_version(struct bpf_sock_addr *ctx)
{
	return ctx->user_ip6[0] == 0;
}

// The family of a socket is read, not set.
SEC("sockops")
int sets_family(struct bpf_sock_ops *ops)
{
	ops->family = 2;
	return 1;
}

// A half of a field is written.
SEC("tc")
int half_of_mark(struct __sk_buff *skb)
{
	*(__u16 *)&skb->mark = 7;
	return 0;
}

// Registers of the traced function end before this one.
SEC("kprobe/do_exit")
int behind_registers(struct pt_regs *ctx)
{
	return ((__u64 *)ctx)[40] == 1;
}

// A tracepoint's record is shorter than the struct that was written for it.
struct exec_record {
	__u64 common;
	__u64 words[1200];
	int filename;
};

SEC("tracepoint/sched/sched_process_exec")
int behind_record(struct exec_record *record)
{
	return record->filename == 0;
}
