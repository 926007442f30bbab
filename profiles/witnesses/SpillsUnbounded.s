# A check of a number that came from the stack is one of what stayed there.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r6 = *(u64 *)(r10 - 16)
    *(u64 *)(r10 - 8) = r6
    r0 = *(u64 *)(r10 - 8)
    if r0 > 7 goto out
    if r6 > 7 goto never
out:
    r0 = 0
    exit
never:
    r0 = r9
    exit
