# Of 0 and 8, what is not 0 is 8.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 8
    if r0 == 0 goto out
    if r0 != 8 goto never
out:
    r0 = 0
    exit
never:
    r0 = r9
    exit
