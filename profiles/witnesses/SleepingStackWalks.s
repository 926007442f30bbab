# A program that may sleep walks the stack while preemption is off.
# with: rejected
# with message: sleepable helper bpf_get_stack#67 in non-preemptible region
# without: accepted
.license "GPL"
.kfunc void bpf_preempt_disable(void)
.kfunc void bpf_preempt_enable(void)
.section uprobe.s
.func int witness(struct pt_regs *ctx)
    r6 = r1
    call bpf_preempt_disable
    r1 = r6
    r2 = r10
    r2 += -8
    r3 = 8
    r4 = 0
    call bpf_get_stack
    call bpf_preempt_enable
    r0 = 0
    exit
