# A check of a sign-extended part of a number says nothing of the number. Behind it stands what kernels refuse that do not link numbers on the stack.
# with: rejected
# with message: R9 !read_ok
# without: accepted
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 255
    *(u64 *)(r10 - 8) = r0
    r1 = *(s8 *)(r10 - 8)
    if r1 > 10 goto out
    if r0 > 10 goto never
    call bpf_get_prandom_u32
    r0 &= 255
    *(u64 *)(r10 - 8) = r0
    if r0 > 7 goto out
    r0 = *(u64 *)(r10 - 8)
    if r0 > 7 goto unlinked
out:
    r0 = 0
    exit
never:
    r0 = r9
    exit
unlinked:
    r0 = r8
    exit
