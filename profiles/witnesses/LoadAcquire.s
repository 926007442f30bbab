# A load that acquires.
# with: accepted
# without: rejected
# without message: BPF_ATOMIC uses invalid atomic opcode 100
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u64 *)(r10 - 8) = 0
    r0 = load_acquire((u64 *)(r10 - 8))
    r0 = 0
    exit
