# The packet is read unchecked.
# with: rejected
# with message: R2 min value is outside of the allowed memory range
# without: rejected
# without message: R2 offset is outside of the packet
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r2 = *(u32 *)(r1 + 76)
    r0 = *(u8 *)(r2 + 0)
    r0 = 0
    exit
