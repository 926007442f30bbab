# A range is compared with a range: r0 is at most 3, r6 at least 4, so that they are never equal.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r6 = r0
    r6 &= 7
    call bpf_get_prandom_u32
    r0 &= 3
    if r6 < 4 goto out
    if r0 >= r6 goto never
out:
    r0 = 0
    exit
never:
    r0 = r9
    exit
