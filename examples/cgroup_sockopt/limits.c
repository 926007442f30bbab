// Keeps the tasks of a cgroup from marking packets, bounds their buffers, and tells them that they have asked for more than
// they got.
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/tcp.h>
#include <bpf/bpf_helpers.h>

#define SOL_SOCKET 1
#define SO_SNDBUF 7
#define SO_MARK 36
#define MOST (256 * 1024)

__u32 refused, bounded;

SEC("cgroup/setsockopt")
int set(struct bpf_sockopt *ctx)
{
	int *value = ctx->optval;

	if (ctx->level != SOL_SOCKET)
		return 1;
	if (ctx->optname == SO_MARK) {
		refused++;
		return 0;
	}
	if (ctx->optname != SO_SNDBUF || (void *)(value + 1) > ctx->optval_end)
		return 1;
	if (*value > MOST) {
		*value = MOST;
		bounded++;
	}
	return 1;
}

SEC("cgroup/getsockopt")
int get(struct bpf_sockopt *ctx)
{
	int *value = ctx->optval;

	if (ctx->level != SOL_SOCKET || ctx->optname != SO_SNDBUF || (void *)(value + 1) > ctx->optval_end)
		return 1;
	// The kernel keeps twice as much as it was asked for.
	*value /= 2;
	ctx->retval = 0;
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
