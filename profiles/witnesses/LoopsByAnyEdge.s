# A loop is closed by an instruction that is no jump.
# with: accepted
# without: rejected
# without message: back-edge from insn 2 to 3
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = 0
    goto middle
start:
    r0 += 1
middle:
    if r0 < 4 goto start
    exit
