# The first run ends before its record is submitted; the record of the second one comes out all the same.
.license "GPL"
.map ring ringbuf max_entries=4096
.map runs array key=u32 value=u64 max_entries=1
.section "tc"
.func start
    r1 = ring ll
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    r6 = r0
    *(u64 *)(r6 + 0) = 0x5a
    *(u32 *)(r10 - 4) = 0
    r1 = runs ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 + 0)
    *(u64 *)(r0 + 0) = 1
    if r1 != 0 goto second
    r0 = *(u64 *)(r1 + 0)
second:
    r1 = r6
    r2 = 0
    call bpf_ringbuf_submit
    r0 = 2
out:
    exit
