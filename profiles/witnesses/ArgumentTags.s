# A tag says that an argument is never null.
# with: accepted
# without: rejected
# without message: R1 invalid mem access 'mem_or_null'
.license "GPL"
.tag other 0 "arg:nonnull"
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 0
    r1 = r10
    r1 += -4
    call other
    r0 = 0
    exit
.section .text
.func global int other(u32 *number)
    r0 = *(u32 *)(r1 + 0)
    exit
