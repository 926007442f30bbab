# Of a byte at the end of a swapped number nothing is left at its other end.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 255
    r0 = be64 r0
    r0 &= 255
    if r0 != 0 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
