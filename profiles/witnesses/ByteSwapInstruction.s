# Bytes are swapped whatever the machine does.
# with: accepted
# without: rejected
# without message: unknown opcode d7
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = 1
    r0 = bswap64 r0
    r0 = 0
    exit
