# -12 is ENOMEM.
.license "GPL"
.map cells array key=u32 value=u8[512] max_entries=1
.section "tc"
.func start
    *(u32 *)(r10 - 4) = 0
    r1 = cells ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r7 = r0
    r6 = 32
again:
    r1 = r7
    r2 = cells ll
    r3 = 1
    call bpf_timer_init
    r7 += 16
    r6 += -1
    if r6 != 0 goto again
out:
    exit
