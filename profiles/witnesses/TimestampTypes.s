# A program asks what the time stamp of a packet is.
# with: accepted
# without: rejected
# without message: verifier bug: error during ctx access conversion (0)
# without message: bpf verifier is misconfigured
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r0 = *(u8 *)(r1 + 180)
    r0 = 0
    exit
