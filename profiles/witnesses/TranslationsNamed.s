# The upper half of a pointer is loaded from a socket.
# with: rejected
# with message: verifier bug: error during ctx access conversion (0)
# without: rejected
# without message: bpf verifier is misconfigured
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = *(u64 *)(r1 + 168)
    if r1 == 0 goto out
    call bpf_sk_fullsock
    if r0 == 0 goto out
    r1 = r0
    call bpf_tcp_sock
    if r0 == 0 goto out
    r0 = *(u32 *)(r0 + 84)
out:
    r0 = 0
    exit
