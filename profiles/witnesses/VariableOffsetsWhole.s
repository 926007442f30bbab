# The stack is written at a place that is not known, and may be left.
# with: rejected
# with message: invalid variable-offset write to stack R1 var_off=(0x0; 0xf) off=-4 size=1
# without: rejected
# without message: invalid variable-offset write to stack R1 var_off=(0x0; 0xf) size=1
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r0 &= 15
    r1 = r10
    r1 += r0
    *(u8 *)(r1 - 4) = 0
    r0 = 0
    exit
