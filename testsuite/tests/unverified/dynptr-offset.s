# The offset of a dynptr stands at its highest value and is moved on.
.license "GPL"
.section "tc"
.func start
    *(u64 *)(r10 - 16) = r10
    r1 = 0xffffffff10000100 ll
    *(u64 *)(r10 - 8) = r1
    r1 = r10
    r1 += -16
    r2 = 8
    r3 = 16
    call bpf_dynptr_adjust
    exit
