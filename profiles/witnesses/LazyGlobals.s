# A function that would be refused stands behind a branch that is never taken.
# with: accepted
# without: rejected
# without message: R9 !read_ok
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r6 = 0
    r0 = 0
    if r6 == 0 goto out
    call other
out:
    exit
.section .text
.func global int other(void)
    r0 = r9
    exit
