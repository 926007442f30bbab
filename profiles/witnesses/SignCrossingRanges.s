# A number from -8 to 8 that is not among the greatest as an unsigned number is not below zero.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_ktime_get_ns
    if r0 s< -8 goto out
    if r0 s> 8 goto out
    r2 = -16
    if r0 > r2 goto out
    if r0 s< 0 goto never
out:
    r0 = 0
    exit
never:
    r0 = r9
    exit
