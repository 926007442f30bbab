# A dynptr that no call has made: 256 bytes at an address that is nobody's.
.license "GPL"
.section "tc"
.func start
    r1 = 0x123456789abc ll
    *(u64 *)(r10 - 16) = r1
    r1 = 0x10000100 ll
    *(u64 *)(r10 - 8) = r1
    r1 = r10
    r1 += -32
    r2 = 8
    r3 = r10
    r3 += -16
    r4 = 0
    r5 = 0
    call bpf_dynptr_read
    exit
