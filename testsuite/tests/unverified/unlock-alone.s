.license "GPL"
.section "tc"
.func start
    *(u64 *)(r10 - 8) = 1
    r1 = r10
    r1 += -8
    call bpf_spin_unlock
    exit
