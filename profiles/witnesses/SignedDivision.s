# A signed division.
# with: accepted
# without: rejected
# without message: BPF_ALU uses reserved fields
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = -6
    r0 s/= 2
    r0 = 0
    exit
