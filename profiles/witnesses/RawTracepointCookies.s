# A program at a raw tracepoint asks for its cookie.
# with: accepted
# without: rejected
# without message: unknown func bpf_get_attach_cookie#174
# without message: program of this type cannot use helper bpf_get_attach_cookie#174
.license "GPL"
.section raw_tp/sys_enter
.func int witness(struct bpf_raw_tracepoint_args *ctx)
    call bpf_get_attach_cookie
    r0 = 0
    exit
