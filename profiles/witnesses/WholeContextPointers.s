# Half of a pointer is loaded from the context.
# with: rejected
# with message: invalid bpf_context access off=172 size=4
# without: rejected
# without message: verifier bug: error during ctx access conversion (0)
# without message: bpf verifier is misconfigured
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = *(u32 *)(r1 + 172)
    r0 = 0
    exit
