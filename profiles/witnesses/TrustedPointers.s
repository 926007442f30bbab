# A number is given where a helper takes a typed pointer.
# with: rejected
# with message: R1 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_
# without: rejected
# without message: R1 type=scalar expected=ptr_
.license "GPL"
.section kprobe/do_exit
.func int witness(struct pt_regs *ctx)
    r1 = 5
    call bpf_task_pt_regs
    r0 = 0
    exit
