# A program at socket operations asks for the ids of its task.
# with: accepted
# without: rejected
# without message: unknown func bpf_get_ns_current_pid_tgid#120
# without message: program of this type cannot use helper bpf_get_ns_current_pid_tgid#120
.license "GPL"
.section sockops
.func int witness(struct bpf_sock_ops *ctx)
    r1 = 0
    r2 = 0
    r3 = r10
    r3 += -8
    r4 = 8
    call bpf_get_ns_current_pid_tgid
    r0 = 1
    exit
