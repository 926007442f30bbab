.license "GPL"

.struct stats {
    u64 packets;
    u64 bytes;
}

.map flows hash key=u32 value=struct stats max_entries=1024 flags=no_prealloc
.map counts array value=u64 max_entries=4
.map progs prog_array max_entries=4 values=[1: other]
.map outer array_of_maps max_entries=2 values=[counts]
.map events ringbuf max_entries=4096

.rodata u32 limit = 64
.data   u64 total = 7
.bss    u8 scratch[16]
.rodata char fmt[] = "hi %d\n"

.equ XDP_PASS, 2

.section xdp
.func int firewall(struct xdp_md *ctx)
    r6 = r1
    r1 = 0
    *(u32 *)(r10 - 4) = r1
    r2 = r10
    r2 += -4
    r1 = map[flows] ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
out:
    r1 = limit ll
    r1 = *(u32 *)(r1 + 0)
    r2 = total ll
    r3 = *(u64 *)(r2 + 0)
    r3 += r1
    *(u64 *)(r2 + 0) = r3
    call helper_fn
    r1 = fmt ll
    r2 = 7
    r3 = r0
    call bpf_trace_printk
    r1 = 10
    r2 = callback ll
    r3 = 0
    r4 = 0
    call bpf_loop
    r0 = XDP_PASS
    exit

.func other
    r0 = XDP_PASS
    exit

.func static helper_fn
    r0 = 5
    exit

.func static callback(u32 index, void *ctx)
    r0 = 0
    exit
