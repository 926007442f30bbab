# A number is used as an address.
# with: rejected
# with message: R1 invalid mem access 'scalar'
# without: rejected
# without message: R1 invalid mem access 'inv'
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = *(u32 *)(r1 + 0)
    r0 = *(u32 *)(r1 + 0)
    r0 = 0
    exit
