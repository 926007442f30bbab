# A size may be zero where it must not be.
# with: rejected
# with message: R2 invalid zero-sized read: u64=[0,7]
# without: rejected
# without message: invalid zero-sized read
# without message: R2 min value is outside of the allowed memory range
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_prandom_u32
    r2 = r0
    r2 &= 7
    *(u64 *)(r10 - 8) = 0
    r1 = r10
    r1 += -8
    call bpf_trace_printk
    r0 = 0
    exit
