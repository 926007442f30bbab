// Tells the statements that a client hands to a database's library, and how long they are.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct query {
	__u32 pid;
	__u32 len;
	char text[64];
};

const struct query *record_type __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} queries SEC(".maps");

SEC("uprobe//usr/lib/libsqlite3.so.0:sqlite3_prepare_v2")
int BPF_UPROBE(prepare, void *db, const char *sql, int bytes)
{
	struct query *q = bpf_ringbuf_reserve(&queries, sizeof(*q), 0);
	long n;

	if (!q)
		return 0;
	__builtin_memset(q, 0, sizeof(*q));
	q->pid = bpf_get_current_pid_tgid() >> 32;
	n = bpf_probe_read_user_str(q->text, sizeof(q->text), sql);
	q->len = n > 0 ? n - 1 : 0;
	bpf_ringbuf_submit(q, 0);
	return 0;
}

SEC("uretprobe//usr/lib/libsqlite3.so.0:sqlite3_prepare_v2")
int BPF_URETPROBE(prepared, int ret)
{
	if (ret)
		bpf_printk("error %d", ret);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
