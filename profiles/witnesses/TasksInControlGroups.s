# A program at devices asks for the ids of the current task.
# with: accepted
# without: rejected
# without message: unknown func bpf_get_current_pid_tgid#14
# without message: program of this type cannot use helper bpf_get_current_pid_tgid#14
.license "GPL"
.section cgroup/dev
.func int witness(struct bpf_cgroup_dev_ctx *ctx)
    call bpf_get_current_pid_tgid
    r0 = 0
    exit
