# A record of a ring buffer is a key.
# with: accepted
# without: rejected
# without message: R2 type=alloc_mem expected=fp, pkt, pkt_meta, map_key, map_value
# without message: R2 type=ringbuf_mem expected=fp, pkt, pkt_meta, map_key, map_value
.license "GPL"
.map events ringbuf max_entries=4096
.map numbers hash key=u32 value=u64 max_entries=4
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = events ll
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    r6 = r0
    *(u64 *)(r6 + 0) = 0
    r1 = numbers ll
    r2 = r6
    call bpf_map_lookup_elem
    r1 = r6
    r2 = 0
    call bpf_ringbuf_discard
out:
    r0 = 0
    exit
