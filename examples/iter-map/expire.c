// Walks over a map of sessions and clears the counts of those that nobody has used for a while.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct session {
	__u32 idle;
	__u32 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct session);
	__uint(max_entries, 64);
} sessions SEC(".maps");

const volatile __u32 most_idle = 60;
__u32 cleared;

struct seq_file;
struct bpf_map;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
} __attribute__((preserve_access_index));

SEC("iter/bpf_map_elem")
int expire(struct bpf_iter__bpf_map_elem *ctx)
{
	struct session *session = ctx->value;
	__u32 *key = ctx->key;

	if (!key || !session)
		return 0;
	if (session->idle <= most_idle)
		return 0;
	BPF_SEQ_PRINTF(ctx->meta->seq, "session %u: idle for %u, %u packets\n", *key, session->idle, session->packets);
	session->packets = 0;
	cleared++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
