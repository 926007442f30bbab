# Flow keys are read at a place that is not known.
# with: accepted
# without: rejected
# without message: R7 pointer arithmetic on flow_keys prohibited
.license "GPL"
.section flow_dissector
.func int witness(struct __sk_buff *ctx)
    r7 = *(u64 *)(r1 + 144)
    r8 = *(u64 *)(r10 - 8)
    r8 &= 8
    r7 += r8
    r0 = *(u64 *)(r7 + 0)
    r0 = 0
    exit
