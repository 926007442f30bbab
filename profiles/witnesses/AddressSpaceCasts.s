# A pointer is cast between address spaces; without an arena nothing can be.
# with: rejected
# with message: addr_space_cast insn can only be used in a program that has an associated arena
# without: rejected
# without message: BPF_MOV uses reserved fields
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = 0
    r1 = addr_space_cast(r1, 0, 1)
    r0 = 0
    exit
