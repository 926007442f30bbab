# A check of the low half of a number that has no more is one of the number.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 255
    w6 = w0
    if r6 > 7 goto out
    if r0 > 7 goto never
out:
    r0 = 0
    exit
never:
    r0 = r9
    exit
