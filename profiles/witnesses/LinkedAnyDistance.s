# A check of a number minus one is one of the number.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 255
    r6 = r0
    r6 += -1
    if r6 s> 8 goto out
    if r0 s> 9 goto never
out:
    r0 = 0
    exit
never:
    r0 = r9
    exit
