# A socket that was never looked up is released.
# with: rejected
# with message: release helper bpf_sk_release expects referenced PTR_TO_BTF_ID passed to R1
# without: rejected
# without message: R1 must be referenced when passed to release function
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = *(u64 *)(r1 + 168)
    if r1 == 0 goto out
    call bpf_sk_release
out:
    r0 = 0
    exit
