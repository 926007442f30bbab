# The stack is read beside the start of a number.
# with: rejected
# with message: misaligned stack access off -9+0 size 8
# without: rejected
# without message: misaligned stack access off 0+-9+0 size 8
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = r10
    r1 += -9
    r0 = *(u64 *)(r1 + 0)
    r0 = 0
    exit
