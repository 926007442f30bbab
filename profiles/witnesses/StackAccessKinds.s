# A call writes beyond its caller's stack.
# with: rejected
# with message: invalid write to stack R2 off=-4 size=8
# with message: invalid write to stack R1 off=-4 size=8
# without: rejected
# without message: invalid indirect access to stack R2 off=-4 size=8
# without message: invalid indirect access to stack R1 off=-4 size=8
.license "GPL"
.section kprobe/do_exit
.func int witness(struct pt_regs *ctx)
    r1 = r10
    r1 += -4
    r2 = 8
    r3 = 0
    call bpf_probe_read_kernel
    r0 = 0
    exit
