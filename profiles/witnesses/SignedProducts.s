# A number from -1 to 1 times 2 is at most 2.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r6 = r0
    if r6 s< -1 goto out
    if r6 s> 1 goto out
    r6 *= 2
    if r6 s> 2 goto never
out:
    r0 = 0
    exit
never:
    r0 = r9
    exit
