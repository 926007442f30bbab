# A loop that the kernel ends.
# with: accepted
# without: rejected
# without message: unknown opcode e5
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = 0
again:
    may_goto out
    goto again
out:
    exit
