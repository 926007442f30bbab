# A socket that nothing holds is released.
# with: rejected
# without: rejected
# without message: func bpf_sk_release#86 reference has not been acquired before
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = *(u64 *)(r1 + 168)
    if r1 == 0 goto out
    call bpf_sk_fullsock
    if r0 == 0 goto out
    r1 = r0
    call bpf_sk_release
out:
    r0 = 0
    exit
