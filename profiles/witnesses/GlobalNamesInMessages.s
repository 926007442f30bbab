# A function is given a number where it takes a pointer.
# with: rejected
# with message: Caller passes invalid args into func#1 ('other')
# without: rejected
# without message: Caller passes invalid args into func#1
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = 5
    call other
    r0 = 0
    exit
.section .text
.func global int other(u32 *number)
    r0 = 0
    exit
