# What a callback adds up depends on how often it runs.
# with: rejected
# with message: R1 unbounded memory access, make sure to bounds check any such access
# with message: R0 unbounded memory access, make sure to bounds check any such access
# with message: R9 !read_ok
# without: accepted
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u64 *)(r10 - 8) = 0
    r1 = 2
    r2 = step ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r0 = *(u64 *)(r10 - 8)
    if r0 != 1 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
.func static step(u32 index, void *ctx)
    r0 = *(u64 *)(r2 + 0)
    r0 += 1
    *(u64 *)(r2 + 0) = r0
    r0 = 0
    exit
