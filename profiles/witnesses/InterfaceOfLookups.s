# A socket lookup reads the interface.
# with: accepted
# without: rejected
# without message: invalid bpf_context access off=64 size=4
.license "GPL"
.section sk_lookup
.func int witness(struct bpf_sk_lookup *ctx)
    r0 = *(u32 *)(r1 + 64)
    r0 = 1
    exit
