# A global function takes a pointer to a number.
# with: accepted
# without: rejected
# without message: Arg#0 type PTR in reads() is not supported yet.
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 0
    r1 = r10
    r1 += -4
    call reads
    r0 = 0
    exit
.section .text
.func global int reads(int *p)
    r0 = 0
    exit
