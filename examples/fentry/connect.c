// Tells which task connects where over TCP.
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sockaddr {
	unsigned short sa_family;
} __attribute__((preserve_access_index));

struct in_addr {
	__be32 s_addr;
} __attribute__((preserve_access_index));

struct sockaddr_in {
	unsigned short sin_family;
	__be16 sin_port;
	struct in_addr sin_addr;
} __attribute__((preserve_access_index));

struct sock;

struct connection {
	__u32 pid;
	char comm[16];
	__be32 address;
	__u16 port;
};

const struct connection *record_type __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} connections SEC(".maps");

SEC("fentry/tcp_v4_connect")
int BPF_PROG(connecting, struct sock *sk, struct sockaddr *to, int len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	struct connection *c;

	if (len < 8)
		return 0;
	c = bpf_ringbuf_reserve(&connections, sizeof(*c), 0);
	if (!c)
		return 0;
	c->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(c->comm, sizeof(c->comm));
	bpf_probe_read_kernel(&c->address, sizeof(c->address), &in->sin_addr);
	bpf_probe_read_kernel(&c->port, sizeof(c->port), &in->sin_port);
	c->port = bpf_ntohs(c->port);
	bpf_ringbuf_submit(c, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
