# A program that sleeps attaches to a function that it must not sleep in, and never ends.
# with: rejected
# with message: unreachable insn 2
# without: rejected
# without message: bpf_lsm_task_free is not sleepable
.license "GPL"
.section lsm.s/task_free
.func int witness(u64 *ctx)
    r0 = 0
    exit
    r0 = 0
    exit
