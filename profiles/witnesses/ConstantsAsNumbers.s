# The stack is read beside the start of a number.
# with: rejected
# with message: misaligned stack access off 0+0+-9 size 8
# with message: misaligned stack access off 0+-9 size 8
# without: rejected
# without message: misaligned stack access off (0x0; 0x0)+0+-9 size 8
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = *(u64 *)(r10 - 9)
    r0 = 0
    exit
