// What the programs here share.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define ENTRIES(n) __uint(max_entries, n)

char LICENSE[] SEC("license") = "GPL";
