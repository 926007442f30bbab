# A function calls itself.
# with: rejected
# with message: recursive call from again() to again()
# without: rejected
# without message: the call stack of 9 frames is too deep
# without message: the call stack of 17 frames is too deep
# without message: back-edge from insn 5 to 4
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = *(u32 *)(r1 + 0)
    call again
    r0 = 0
    exit
.func static int again
    if r1 == 0 goto out
    call again
out:
    r0 = 0
    exit
