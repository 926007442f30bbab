/* What all programs share. PROGRAM(f) makes an XDP program of `u64 f(u8 *data, u8 *end)`; with RAW it makes a function
 * of plain memory, for engines that know no contexts: the packet's length in eight bytes, then the packet. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

#ifdef RAW
#define PROGRAM(f) \
	SEC("raw") u64 entry(u8 *memory) { return f(memory + 8, memory + 8 + *(u64 *)memory); }
#else
#define PROGRAM(f) \
	SEC("xdp") int entry(struct xdp_md *ctx) { return f((u8 *)(u64)ctx->data, (u8 *)(u64)ctx->data_end); } \
	char _license[] SEC("license") = "GPL";
#endif
