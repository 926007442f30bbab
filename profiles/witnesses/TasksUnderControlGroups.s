# A program at devices asks whether the current task is below a control group.
# with: accepted
# without: rejected
# without message: unknown func bpf_current_task_under_cgroup#37
# without message: program of this type cannot use helper bpf_current_task_under_cgroup#37
.license "GPL"
.map groups cgroup_array key_size=4 value_size=4 max_entries=1
.section cgroup/dev
.func int witness(struct bpf_cgroup_dev_ctx *ctx)
    r1 = groups ll
    r2 = 0
    call bpf_current_task_under_cgroup
    r0 = 0
    exit
