// Lets a proxy send requests of HTTP, but no other methods than GET and HEAD.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u32 passed, dropped;

SEC("sk_msg")
int requests(struct sk_msg_md *msg)
{
	char *data, *end;

	bpf_msg_pull_data(msg, 0, 4, 0);
	data = msg->data;
	end = msg->data_end;
	if (data + 4 <= end) {
		int get = data[0] == 'G' && data[1] == 'E' && data[2] == 'T' && data[3] == ' ';
		int head = data[0] == 'H' && data[1] == 'E' && data[2] == 'A' && data[3] == 'D';

		if (get || head) {
			passed++;
			return SK_PASS;
		}
	}
	dropped++;
	bpf_printk("%d bytes to port %d dropped", msg->size, __builtin_bswap32(msg->remote_port));
	return SK_DROP;
}

char LICENSE[] SEC("license") = "GPL";
