# A constant is stored into the context.
# with: accepted
# without: rejected
# without message: BPF_ST stores into R1 ctx is not allowed
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r1 + 8) = 1
    r0 = 0
    exit
