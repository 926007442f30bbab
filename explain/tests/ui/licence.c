#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Proprietary";

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;

// The helper is for programs under the GPL.
SEC("kprobe/do_exit")
int printed(void *ctx)
{
	bpf_printk("exit");
	return 0;
}

// So is reading the kernel's memory.
SEC("kprobe/do_exit")
int reads_kernel(void *ctx)
{
	long word = 0;

	bpf_probe_read_kernel(&word, sizeof(word), ctx);
	return word == 1;
}

// And so are the kernel's functions.
SEC("tc")
int calls_kernel_function(struct __sk_buff *skb)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}
