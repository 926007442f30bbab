# A program that does not sleep calls a helper that does.
# with: rejected
# with message: sleepable helper bpf_copy_from_user#148 in non-sleepable prog
# without: rejected
# without message: helper call might sleep in a non-sleepable prog
.license "GPL"
.section kprobe/do_exit
.func int witness(struct pt_regs *ctx)
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = 0
    call bpf_copy_from_user
    r0 = 0
    exit
