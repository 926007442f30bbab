# A probe writes a register.
# with: accepted
# without: rejected
# without message: invalid bpf_context access off=80 size=8
.license "GPL"
.section kprobe/do_exit
.func int witness(struct pt_regs *ctx)
    r0 = 0
    *(u64 *)(r1 + 80) = r0
    exit
