# An XDP program asks for the user of the current task.
# with: accepted
# without: rejected
# without message: unknown func bpf_get_current_uid_gid#15
# without message: program of this type cannot use helper bpf_get_current_uid_gid#15
.license "GPL"
.section xdp
.func int witness(struct xdp_md *ctx)
    call bpf_get_current_uid_gid
    r0 = 2
    exit
