# A loop that never ends, in which nothing reads the context.
# with: rejected
# with message: old state: R0=P0 R10=fp0
# with message: old state: R10=fp0
# without: rejected
# without message: old state: R0=P0 R1=ctx() R10=fp0
# without message: old state: R0=0 R1=ctx() R10=fp0
# without message: old state: R0=P0 R1=ctx(off=0,imm=0) R10=fp0
# without message: old state: R0_rw=P0 R1=ctx() R10=fp0
# without message: old state: R0_rw=P0 R1=ctx(off=0,imm=0) R10=fp0
# without message: infinite loop detected at insn 1
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = 0
again:
    if r0 == 1 goto out
    goto again
out:
    exit
