# A load that extends the sign of a byte.
# with: accepted
# without: rejected
# without message: BPF_LDX uses reserved fields
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u64 *)(r10 - 8) = 200
    r0 = *(s8 *)(r10 - 8)
    r0 = 0
    exit
