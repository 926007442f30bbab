# The low half of a number on the stack is within its bounds.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 7
    *(u64 *)(r10 - 8) = r0
    r0 = *(u32 *)(r10 - 8)
    if r0 > 7 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
