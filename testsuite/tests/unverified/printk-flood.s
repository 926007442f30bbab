.license "GPL"
.section "xdp"
.func start
    *(u64 *)(r10 - 16) = 0x61616161
    *(u64 *)(r10 - 8) = 0
    r6 = 1000
again:
    r1 = r10
    r1 += -16
    r2 = 16
    call bpf_trace_printk
    r6 += -1
    if r6 != 0 goto again
    exit
