# Bytes that are no dynptr are taken for one.
# with: rejected
# with message: Expected an initialized dynptr as R1
# without: rejected
# without message: Expected an initialized dynptr as arg #0
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u64 *)(r10 - 8) = 0
    *(u64 *)(r10 - 16) = 0
    r1 = r10
    r1 += -16
    r2 = 0
    r3 = 1
    call bpf_dynptr_data
    r0 = 0
    exit
