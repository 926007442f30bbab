# Two numbers up to 3 combined are a number up to 3.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r6 = r0
    r6 &= 3
    call bpf_get_prandom_u32
    r0 &= 3
    r0 |= r6
    if r0 > 3 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
