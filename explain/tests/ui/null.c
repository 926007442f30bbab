#include "common.h"

struct event {
	__u32 pid;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	ENTRIES(4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	ENTRIES(8);
	__type(key, __u32);
	__type(value, struct event);
} seen SEC(".maps");

SEC("tp/sched/sched_switch")
int full_ring(void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	e->pid = bpf_get_current_pid_tgid();
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("tc")
int second_lookup(struct __sk_buff *skb)
{
	__u32 key = 1;

	if (!bpf_map_lookup_elem(&seen, &key))
		return 0;
	return ((struct event *)bpf_map_lookup_elem(&seen, &key))->pid;
}

SEC("tc")
int socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk->family;
}

static __noinline struct event *find(__u32 key)
{
	return bpf_map_lookup_elem(&seen, &key);
}

SEC("tc")
int from_function(struct __sk_buff *skb)
{
	struct event *e = find(skb->mark);

	return e->pid;
}
