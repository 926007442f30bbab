// flags: -O0
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

static long (*ktime)(void) = (void *)BPF_FUNC_ktime_get_ns;

// Without optimisation the helper is called through a variable.
SEC("tc")
int called_through_variable(struct __sk_buff *skb)
{
	return ktime() & 1;
}
