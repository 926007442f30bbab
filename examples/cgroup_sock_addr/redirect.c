// Sends connections to a service's address to one of its backends, and hides that from the task.
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct end {
	__be32 address;
	__u16 port;
	__u16 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct end);
	__type(value, struct end);
	__uint(max_entries, 256);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u64);
	__type(value, struct end);
	__uint(max_entries, 1024);
} asked SEC(".maps");

SEC("cgroup/connect4")
int connecting(struct bpf_sock_addr *ctx)
{
	struct end to = { ctx->user_ip4, bpf_ntohs(ctx->user_port) }, *backend;
	__u64 cookie;

	// Nobody connects to the metadata of the cloud.
	if (to.address == bpf_htonl(0xa9fea9fe))
		return 0;
	backend = bpf_map_lookup_elem(&services, &to);
	if (!backend)
		return 1;
	cookie = bpf_get_socket_cookie(ctx);
	bpf_map_update_elem(&asked, &cookie, &to, BPF_ANY);
	ctx->user_ip4 = backend->address;
	ctx->user_port = bpf_htons(backend->port);
	return 1;
}

SEC("cgroup/getpeername4")
int peer(struct bpf_sock_addr *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct end *to = bpf_map_lookup_elem(&asked, &cookie);

	if (to) {
		ctx->user_ip4 = to->address;
		ctx->user_port = bpf_htons(to->port);
	}
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
