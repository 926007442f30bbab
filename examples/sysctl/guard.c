// Lets the tasks of a cgroup read every sysctl, but write only the length of the queue of connections, and that within
// bounds.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define LEAST 128
#define MOST 65535

static const char somaxconn[] = "net/core/somaxconn";

SEC("cgroup/sysctl")
int guard(struct bpf_sysctl *ctx)
{
	char name[32] = {}, value[16] = {};
	unsigned long number;
	int i, len;

	if (!ctx->write)
		return 1;
	bpf_sysctl_get_name(ctx, name, sizeof(name), 0);
	for (i = 0; i < (int)sizeof(somaxconn); i++)
		if (name[i] != somaxconn[i]) {
			bpf_printk("%s stays as it is", name);
			return 0;
		}
	len = bpf_sysctl_get_new_value(ctx, value, sizeof(value));
	if (len < 0 || bpf_strtoul(value, sizeof(value), 10, &number) < 0)
		return 0;
	if (number > MOST) {
		static const char most[] = "65535";

		// More than there can be is as much as there can be.
		bpf_sysctl_set_new_value(ctx, most, sizeof(most) - 1);
		return 1;
	}
	return number >= LEAST;
}

char LICENSE[] SEC("license") = "GPL";
