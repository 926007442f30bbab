# A function is given null where it takes a pointer that is never null.
# with: rejected
# with message: Caller passes invalid args into func#1 ('other')
# without: accepted
.license "GPL"
.tag other 0 "arg:nonnull"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = 0
    call other
    r0 = 0
    exit
.section .text
.func global int other(u32 *number)
    r0 = *(u32 *)(r1 + 0)
    exit
