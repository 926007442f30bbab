# A number up to 255 divided by 10 is at most 25.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 255
    r0 /= 10
    if r0 > 25 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
