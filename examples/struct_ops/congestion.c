// A congestion control that keeps its window where no segment was lost for a while, and halves it at each loss.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sock;

struct tcp_sock {
	__u32 snd_cwnd;
	__u32 snd_ssthresh;
} __attribute__((preserve_access_index));

struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
};

#define MOST 64

SEC("struct_ops")
__u32 BPF_PROG(steady_ssthresh, struct sock *sk)
{
	// What the kernel passes is the connection's larger struct.
	__u32 half = ((struct tcp_sock *)sk)->snd_cwnd / 2;

	return half > 2 ? half : 2;
}

SEC("struct_ops")
void BPF_PROG(steady_cong_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	if (tp->snd_cwnd < MOST)
		tp->snd_cwnd += acked > 1 ? 2 : 1;
}

SEC("struct_ops")
__u32 BPF_PROG(steady_undo_cwnd, struct sock *sk)
{
	return ((struct tcp_sock *)sk)->snd_cwnd;
}

SEC(".struct_ops")
struct tcp_congestion_ops steady = {
	.ssthresh = (void *)steady_ssthresh,
	.cong_avoid = (void *)steady_cong_avoid,
	.undo_cwnd = (void *)steady_undo_cwnd,
	.name = "steady",
};

char LICENSE[] SEC("license") = "GPL";
