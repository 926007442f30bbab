# Stack that was never written is read.
# with: accepted
# without: rejected
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = *(u64 *)(r10 - 8)
    r0 = 0
    exit
