// Lists the connections of TCP with the bytes that wait to be sent and to be read, as ss does.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

struct tcp_sock {
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 write_seq;
	__u32 snd_una;
} __attribute__((preserve_access_index));

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __attribute__((preserve_access_index));

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
	unsigned int uid;
} __attribute__((preserve_access_index));

SEC("iter/tcp")
int list(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	struct seq_file *seq = ctx->meta->seq;
	struct tcp_sock *tp;

	if (!sk || sk->skc_family != 2)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	BPF_SEQ_PRINTF(seq, "%pI4:%d > %pI4:%d state %d user %d", &sk->skc_rcv_saddr, sk->skc_num, &sk->skc_daddr,
		       bpf_ntohs(sk->skc_dport), sk->skc_state, ctx->uid);
	BPF_SEQ_PRINTF(seq, " unread %u unsent %u\n", tp->rcv_nxt - tp->copied_seq, tp->write_seq - tp->snd_una);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
