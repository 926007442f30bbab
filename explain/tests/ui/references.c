#include "common.h"
#include "kernel.h"

struct event {
	__u32 pid;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(1 << 16);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, __u64);
} allowed SEC(".maps");

extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *c) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;

// A lookup fails after the record was reserved.
SEC("tp/sched/sched_process_exec")
int lookup_after_reserve(void *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	__u64 *rule;

	if (!e)
		return 0;
	rule = bpf_map_lookup_elem(&allowed, &pid);
	if (!rule)
		return 0;
	e->pid = pid;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// Both branches submit.
SEC("tp/sched/sched_process_exec")
int submitted_again(void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return 0;
	e->pid = bpf_get_current_pid_tgid() >> 32;
	if (e->pid == 1)
		bpf_ringbuf_discard(e, 0);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// A record is reserved in a loop, and submitted once after it.
SEC("tp/sched/sched_process_exec")
int reserved_in_loop(void *ctx)
{
	struct event *e = 0;

	for (int i = 0; i < 3; i++) {
		e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
		if (!e)
			return 0;
		e->pid = i;
	}
	bpf_ringbuf_submit(e, 0);
	return 0;
}

// The task that was found has to be released.
SEC("tp_btf/task_newtask")
int task_kept(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1);

	if (!task)
		return 0;
	bpf_printk("%s", task->comm);
	return 0;
}

// The socket is released where it has a listener only.
SEC("tc")
int socket_of_listener(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk, *listener;

	sk = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	listener = bpf_get_listener_sock(sk);
	if (!listener)
		return 0;
	bpf_sk_release(sk);
	return listener->state == 10;
}

// What was never acquired is released.
SEC("tc")
int released_context_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 0;
}

// The pointer is moved to a member before it is submitted.
SEC("tp/sched/sched_process_exec")
int submitted_member(void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return 0;
	e->pid = 1;
	bpf_ringbuf_submit(e->comm, 0);
	return 0;
}

// A group is acquired for each of two purposes and released for one.
SEC("tp_btf/task_newtask")
int group_acquired(void *ctx)
{
	struct cgroup *a = bpf_cgroup_from_id(1), *b;

	if (!a)
		return 0;
	b = bpf_cgroup_from_id(2);
	if (b)
		bpf_cgroup_release(b);
	else
		return 0;
	bpf_cgroup_release(a);
	return 0;
}

// A read-side section is left open on one path.
SEC("tp_btf/task_newtask")
int section_left_open(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf(), *parent;

	bpf_rcu_read_lock();
	parent = task->real_parent;
	if (parent->pid == 1)
		return 0;
	bpf_rcu_read_unlock();
	return 0;
}
