# -35 is EDEADLK.
.license "GPL"
.map locks array key=u32 value=u8[64] max_entries=1
.section "tc"
.func start
    *(u32 *)(r10 - 4) = 0
    r1 = locks ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r6 = r0
    r1 = r6
    call bpf_res_spin_lock
    r1 = r6
    call bpf_res_spin_lock
    r0 <<= 32
    r0 s>>= 32
out:
    exit
