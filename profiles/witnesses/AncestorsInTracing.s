# A program at a tracepoint asks for a control group above the current one.
# with: accepted
# without: rejected
# without message: unknown func bpf_get_current_ancestor_cgroup_id#123
# without message: program of this type cannot use helper bpf_get_current_ancestor_cgroup_id#123
.license "GPL"
.section raw_tp/sched_switch
.func int witness(void *ctx)
    r1 = 1
    call bpf_get_current_ancestor_cgroup_id
    r0 = 0
    exit
