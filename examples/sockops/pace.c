// Sets up connections by where they lead: larger windows for far ends. Counts retransmissions by connection.
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct connection {
	__be32 remote;
	__u16 port;
	__u16 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct connection);
	__type(value, __u32);
	__uint(max_entries, 1024);
} retransmits SEC(".maps");

SEC("sockops")
int events(struct bpf_sock_ops *ctx)
{
	struct connection c = { ctx->remote_ip4, bpf_ntohl(ctx->remote_port) };
	int reply = -1;
	__u32 one = 1, *n;

	switch (ctx->op) {
	case BPF_SOCK_OPS_RWND_INIT:
		// Networks of our own are near.
		reply = (bpf_ntohl(ctx->remote_ip4) >> 24) == 10 ? 10 : 40;
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_RETRANS_CB_FLAG | BPF_SOCK_OPS_STATE_CB_FLAG);
		break;
	case BPF_SOCK_OPS_RETRANS_CB:
		n = bpf_map_lookup_elem(&retransmits, &c);
		if (n)
			__sync_fetch_and_add(n, 1);
		else
			bpf_map_update_elem(&retransmits, &c, &one, BPF_ANY);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ctx->args[1] == BPF_TCP_CLOSE)
			bpf_printk("closed after %d us", ctx->srtt_us >> 3);
		break;
	}
	ctx->reply = reply;
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
