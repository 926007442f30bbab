# A program takes the address of one of its functions.
# with: accepted
# without: rejected
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = step ll
    r0 = 0
    exit
.func static long step(void *ctx)
    r0 = 0
    exit
