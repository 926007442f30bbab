# A check of a number that is on the stack is one of the number there.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 255
    *(u64 *)(r10 - 8) = r0
    if r0 > 7 goto out
    r0 = *(u64 *)(r10 - 8)
    if r0 > 7 goto never
out:
    r0 = 0
    exit
never:
    r0 = r9
    exit
