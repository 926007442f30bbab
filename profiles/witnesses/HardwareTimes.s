# A classifier asks when hardware saw the packet.
# with: accepted
# without: rejected
# without message: invalid bpf_context access off=184 size=8
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = *(u64 *)(r1 + 184)
    r0 = 0
    exit
