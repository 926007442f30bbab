# A move that extends the sign of a byte.
# with: accepted
# without: rejected
# without message: BPF_MOV uses reserved fields
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = 200
    r0 = (s8)r1
    r0 = 0
    exit
