# A program at a raw tracepoint looks up a task.
# with: accepted
# without: rejected
# without message: calling kernel function bpf_task_from_pid is not allowed
.license "GPL"
.kfunc struct task_struct *bpf_task_from_pid(s32 pid)
.kfunc void bpf_task_release(struct task_struct *p)
.section raw_tp/sys_enter
.func int witness(struct bpf_raw_tracepoint_args *ctx)
    r1 = 1
    call bpf_task_from_pid
    if r0 == 0 goto out
    r1 = r0
    call bpf_task_release
out:
    r0 = 0
    exit
