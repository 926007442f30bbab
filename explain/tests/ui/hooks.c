#include "common.h"
#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

// What hooks give to programs, what they offer and what they expect.

struct seq_file {
	unsigned long count;
} KERNEL;

struct bpf_iter_meta {
	struct seq_file *seq;
} KERNEL;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} KERNEL;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} storage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(1024);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

char text[256];

// The value of an option has an end of its own.
SEC("cgroup/getsockopt")
int option_value(struct bpf_sockopt *ctx)
{
	__u32 *value = ctx->optval;

	if (ctx->level == 6 && ctx->optname == 13)
		*value = 1;
	return 1;
}

// So has a message.
SEC("sk_msg")
int first_bytes(struct sk_msg_md *msg)
{
	char *data = msg->data;

	if (data[0] == 'G' && data[1] == 'E')
		return SK_DROP;
	return SK_PASS;
}

// A socket that may be missing, read in one expression.
SEC("sockops")
int mark_of_socket(struct bpf_sock_ops *ops)
{
	__u32 mark = ops->sk->mark;

	return mark == 7;
}

// The last call of an iterator has no object.
SEC("iter/task")
int end_of_iteration(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	return task->pid == 1;
}

// A helper of typed programs.
SEC("kprobe/tcp_sendmsg")
int BPF_KPROBE(storage_in_kprobe, struct sock *sk)
{
	__u64 *n = bpf_sk_storage_get(&storage, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (n)
		(*n)++;
	return 0;
}

// A helper of a few functions.
SEC("fentry/vfs_fsync")
int BPF_PROG(path_elsewhere, struct file *file)
{
	bpf_d_path(&file->f_path, text, sizeof(text));
	return 0;
}

// What refuses is negative.
SEC("lsm/file_open")
int BPF_PROG(refused_by_one, struct file *file)
{
	__u64 id = bpf_get_current_uid_gid();

	if ((__u32)id == 1000)
		return 1;
	return 0;
}

// The key itself in the place of its address.
SEC("tracepoint/syscalls/sys_enter_execve")
int key_by_value(void *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u64 *n = bpf_map_lookup_elem(&counts, (void *)(long)pid);

	if (n)
		(*n)++;
	return 0;
}

// The address of the context's variable in the place of the context.
static __noinline int emit(void *ctx, __u32 pid)
{
	return bpf_perf_event_output(&ctx, &events, BPF_F_CURRENT_CPU, &pid, sizeof(pid));
}

SEC("tracepoint/sched/sched_process_exit")
int context_by_address(void *ctx)
{
	return emit(ctx, bpf_get_current_pid_tgid() >> 32);
}

// A text of the process, read as if it were the kernel's.
SEC("fentry/do_sys_openat2")
int BPF_PROG(text_of_process, int dfd, const char *filename)
{
	if (filename[0] == '/')
		bpf_printk("absolute");
	return 0;
}

// A function that is chosen at run time.
static __noinline int short_one(struct __sk_buff *skb)
{
	return skb->len > 100;
}

static __noinline int long_one(struct __sk_buff *skb)
{
	return skb->len > 200;
}

SEC("tc")
int chosen_function(struct __sk_buff *skb)
{
	int (*check)(struct __sk_buff *) = skb->protocol == bpf_htons(ETH_P_IP) ? short_one : long_one;

	return check(skb);
}
