# Of a zero that is overwritten in part, nothing is known any more.
# with: rejected
# with message: R9 !read_ok
# without: accepted
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = 0
    *(u64 *)(r10 - 8) = r0
    *(u8 *)(r10 - 1) = 1
    r0 = *(u32 *)(r10 - 8)
    if r0 != 0 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
