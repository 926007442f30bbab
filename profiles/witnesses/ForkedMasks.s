# A mask of all bits or none and 5 is 5 or 0, not 1.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_ktime_get_ns
    r0 s>>= 63
    r0 &= 5
    if r0 == 1 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
