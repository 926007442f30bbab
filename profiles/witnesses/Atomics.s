# An atomic operation that is no addition.
# with: accepted
# without: rejected
# without message: BPF_STX uses reserved fields
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = 1
    *(u64 *)(r10 - 8) = r0
    lock *(u64 *)(r10 - 8) |= r0
    r0 = 0
    exit
