# A number up to 7, negated, is at least -7.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 7
    r0 = -r0
    if r0 s< -7 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
