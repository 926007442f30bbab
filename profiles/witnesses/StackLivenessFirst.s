# A loop that never ends, in which nothing reads the stack.
# with: rejected
# with message: old state: R0=0 R10=fp0
# with message: old state: R10=fp0
# without: rejected
# without message: infinite loop detected at insn 2
# without message: old state: R10=fp0 fp-8=0
# without message: old state: R0_rw=P0 R1=ctx() R10=fp0 fp-8_w=0
# without message: old state: R0=P0 R10=fp0 fp-8=0
# without message: old state: R0=P0 R1=ctx() R10=fp0 fp-8=0
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = 0
    *(u64 *)(r10 - 8) = r0
again:
    if r0 == 1 goto out
    goto again
out:
    exit
