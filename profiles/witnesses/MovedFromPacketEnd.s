# A pointer that is known to be at the end of the packet moves back, and is compared again.
# with: rejected
# with message: R7 min value is outside of the allowed memory range
# without: accepted
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r7 = *(u32 *)(r1 + 76)
    r8 = *(u32 *)(r1 + 80)
    r7 += 256
    if r7 >= r8 goto end
    r0 = 0
    exit
end:
    r7 += -256
    if r7 < r8 goto inside
    r0 = 0
    exit
inside:
    r0 = *(u8 *)(r7 + 0)
    r0 = 0
    exit
