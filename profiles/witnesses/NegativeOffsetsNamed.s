# A context is read before its start.
# with: rejected
# with message: negative offset ctx ptr R1 off=-8 disallowed
# without: rejected
# without message: dereference of modified ctx ptr R1 off=-8 disallowed
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 += -8
    r0 = *(u32 *)(r1 + 0)
    r0 = 0
    exit
