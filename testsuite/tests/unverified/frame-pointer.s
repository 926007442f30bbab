# The frame pointer is written behind an access through it that is in bounds; what stands behind is not done.
.license "GPL"
.section "tc"
.func start
    *(u64 *)(r10 - 8) = 1
    r10 -= 8
    *(u64 *)(r10 - 8) = 2
    r0 = 0
    exit
