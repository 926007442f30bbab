# A classifier writes to the running task.
# with: rejected
# with message: R0 cannot write into ptr_task_struct at off=0 size=8
# without: rejected
# without message: only read is supported
# without message: unknown func bpf_get_current_task_btf#158
# without message: invalid func unknown#158
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_current_task_btf
    r1 = 0
    *(u64 *)(r0 + 0) = r1
    r0 = 0
    exit
