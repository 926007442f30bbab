# The iterator's second word is overwritten: more bits than were copied.
.license "GPL"
.section "tc"
.func start
    *(u64 *)(r10 - 24) = 0
    r1 = r10
    r1 += -16
    r2 = r10
    r2 += -24
    r3 = 1
    call bpf_iter_bits_new
    *(u64 *)(r10 - 8) = 0x10000
    r1 = r10
    r1 += -16
    call bpf_iter_bits_next
    exit
