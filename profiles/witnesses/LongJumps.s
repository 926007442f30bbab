# A jump with its distance in the immediate.
# with: accepted
# without: rejected
# without message: unknown opcode 06
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = 0
    gotol out
out:
    exit
