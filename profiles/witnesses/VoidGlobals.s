# A global function returns nothing.
# with: accepted
# without: rejected
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call other
    r0 = 0
    exit
.section .text
.func global void other(void)
    r0 = 0
    exit
