# The iterator's first word is the address of an object that is no copy of bits.
.license "GPL"
.section "tc"
.func start
    call bpf_cpumask_create
    *(u64 *)(r10 - 16) = r0
    *(u64 *)(r10 - 8) = 64
    r1 = r10
    r1 += -16
    call bpf_iter_bits_next
    exit
