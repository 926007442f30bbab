# A call fills a buffer in which a dynptr lies that must be released.
# with: rejected
# with message: cannot overwrite referenced dynptr
# without: rejected
# without message: potential write to dynptr at off=-16 disallowed
.license "GPL"
.map events ringbuf max_entries=4096
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = events ll
    r2 = 8
    r3 = 0
    r4 = r10
    r4 += -16
    call bpf_ringbuf_reserve_dynptr
    r1 = r10
    r1 += -16
    r2 = 16
    r3 = 0
    call bpf_probe_read_kernel
    r1 = r10
    r1 += -16
    r2 = 0
    call bpf_ringbuf_discard_dynptr
    r0 = 0
    exit
