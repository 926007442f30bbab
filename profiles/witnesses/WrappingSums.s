# A number of which both ends wrap around becomes small again.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 7
    r0 += 5
    r2 = 0x8000000080000000 ll
    r0 += r2
    r0 += r2
    r3 = 0x10000000c ll
    if r0 > r3 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
