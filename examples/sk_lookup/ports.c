// Hands connections to a range of ports to one server, which listens at one of them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} server SEC(".maps");

__u32 others, handed;

SEC("sk_lookup")
int choose(struct bpf_sk_lookup *ctx)
{
	__u32 key = 0;
	struct bpf_sock *sk;

	// Of ports that nobody should reach nothing is heard.
	if (ctx->local_port < 1024)
		return SK_DROP;
	if (ctx->local_port < 7000 || ctx->local_port > 7999) {
		others++;
		return SK_PASS;
	}
	sk = bpf_map_lookup_elem(&server, &key);
	if (!sk)
		return SK_DROP;
	handed += bpf_sk_assign(ctx, sk, 0) == 0;
	bpf_sk_release(sk);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
