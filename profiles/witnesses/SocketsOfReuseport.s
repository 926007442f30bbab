# A program that picks sockets reads the socket that it is called for.
# with: accepted
# without: rejected
# without message: invalid bpf_context access off=40 size=8
.license "GPL"
.section sk_reuseport
.func int witness(struct sk_reuseport_md *ctx)
    r0 = *(u64 *)(r1 + 40)
    r0 = 1
    exit
