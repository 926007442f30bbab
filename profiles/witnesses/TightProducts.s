# Bit 4 of a product of two partly known numbers is known.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r6 = r0
    r6 &= 2
    r6 |= 1
    call bpf_get_prandom_u32
    r0 &= 0
    r0 |= 55
    r6 *= r0
    r6 &= 4
    if r6 != 4 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
