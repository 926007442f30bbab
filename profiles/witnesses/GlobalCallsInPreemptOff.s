# A function of its own is called between disabling and enabling preemption.
# with: accepted
# without: rejected
# without message: use static function instead
.license "GPL"
.kfunc void bpf_preempt_disable(void)
.kfunc void bpf_preempt_enable(void)
.section tc
.func int calls(struct __sk_buff *ctx)
    call bpf_preempt_disable
    call other
    call bpf_preempt_enable
    r0 = 0
    exit
.section .text
.func global int other(void)
    r0 = 0
    exit
