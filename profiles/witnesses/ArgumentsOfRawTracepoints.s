# A program at a typed raw tracepoint asks how many arguments there are.
# with: accepted
# without: rejected
# without message: unknown func bpf_get_func_arg_cnt#185
# without message: program of this type cannot use helper bpf_get_func_arg_cnt#185
.license "GPL"
.section tp_btf/sched_switch
.func int witness(void *ctx)
    call bpf_get_func_arg_cnt
    r0 = 0
    exit
