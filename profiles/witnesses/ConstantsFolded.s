# A loop that a constant keeps from ending; nothing reads the constant any more.
# with: rejected
# with message: old state: R10=fp0
# without: rejected
# without message: old state: R0=P0 R10=fp0
# without message: old state: R0=P0 R1=ctx() R10=fp0
# without message: infinite loop detected at insn 1
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = 0
again:
    goto test
test:
    if r0 < 4 goto again
    exit
