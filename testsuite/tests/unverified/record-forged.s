# A record's bytes hold what the head of a record looks like.
.license "GPL"
.map ring ringbuf max_entries=4096
.section "tc"
.func start
    r1 = ring ll
    r2 = 64
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    r1 = 0x80000010 ll
    *(u64 *)(r0 + 0) = r1
    r1 = r0
    r1 += 8
    r2 = 0
    call bpf_ringbuf_submit
out:
    exit
