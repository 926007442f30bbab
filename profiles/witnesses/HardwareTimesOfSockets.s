# A program at socket operations asks when hardware saw the packet.
# with: accepted
# without: rejected
# without message: invalid bpf_context access off=216 size=8
.license "GPL"
.section sockops
.func int witness(struct bpf_sock_ops *ctx)
    r0 = *(u64 *)(r1 + 216)
    r0 = 1
    exit
