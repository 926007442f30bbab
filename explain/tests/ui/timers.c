#include "common.h"
#include "kernel.h"

struct session {
	__u64 started;
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, struct session);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	ENTRIES(64);
	__type(key, __u32);
	__type(value, __u64);
} plain SEC(".maps");

static int expired(void *map, __u32 *key, struct session *s)
{
	bpf_map_delete_elem(map, key);
	return 0;
}

static int again(void *map, __u32 *key, struct session *s)
{
	return 1;
}

// The timer is made for another map than the one it lies in.
SEC("tc")
int timer_of_other_map(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	struct session *s = bpf_map_lookup_elem(&sessions, &key);

	if (!s)
		return 0;
	bpf_timer_init(&s->timer, &plain, 1);
	return 0;
}

// The address of the value is passed, and the timer lies behind its start.
SEC("tc")
int start_of_value(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	struct session *s = bpf_map_lookup_elem(&sessions, &key);

	if (!s)
		return 0;
	bpf_timer_init((void *)s, &sessions, 1);
	return 0;
}

// The callback says that it wants to run again.
SEC("tc")
int runs_again(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	struct session *s = bpf_map_lookup_elem(&sessions, &key);

	if (!s)
		return 0;
	bpf_timer_init(&s->timer, &sessions, 1);
	bpf_timer_set_callback(&s->timer, again);
	bpf_timer_start(&s->timer, 1000000, 0);
	return 0;
}

// A timer on the stack would be gone before it runs.
SEC("tc")
int timer_on_stack(struct __sk_buff *skb)
{
	struct bpf_timer timer = {};

	bpf_timer_init(&timer, &sessions, 1);
	return 0;
}

// The value is copied with its timer.
SEC("tc")
int copied_value(struct __sk_buff *skb)
{
	__u32 key = skb->mark;
	struct session *s = bpf_map_lookup_elem(&sessions, &key), copy;

	if (!s)
		return 0;
	copy = *s;
	asm volatile("" : : "r"(&copy) : "memory");
	bpf_timer_set_callback(&s->timer, expired);
	return 0;
}
