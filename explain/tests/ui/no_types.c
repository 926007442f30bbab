// flags: -g0
#include "common.h"

static int each(__u32 i, void *data)
{
	return 0;
}

// The object has no types, and so none of its functions.
SEC("tc")
int callback_without_types(struct __sk_buff *skb)
{
	return bpf_loop(4, each, 0, 0);
}

static long found(void *task, void *vma, void *data)
{
	return 0;
}

// The same for a callback of another helper.
SEC("kprobe/do_exit")
int region_without_types(void *ctx)
{
	return bpf_find_vma((void *)bpf_get_current_task_btf(), 0, found, 0, 0);
}
