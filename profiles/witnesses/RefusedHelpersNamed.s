# A helper of another type of program is called.
# with: rejected
# with message: program of this type cannot use helper bpf_xdp_adjust_head#44
# without: rejected
# without message: unknown func bpf_xdp_adjust_head#44
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r2 = 0
    call bpf_xdp_adjust_head
    r0 = 0
    exit
