# An XDP program asks for the current control group.
# with: accepted
# without: rejected
# without message: unknown func bpf_get_current_cgroup_id#80
# without message: program of this type cannot use helper bpf_get_current_cgroup_id#80
.license "GPL"
.section xdp
.func int witness(struct xdp_md *ctx)
    call bpf_get_current_cgroup_id
    r0 = 2
    exit
