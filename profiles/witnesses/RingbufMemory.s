# A record is used unchecked.
# with: rejected
# with message: R0 pointer arithmetic on ringbuf_mem_or_null prohibited, null-check it first
# without: rejected
# without message: R0 pointer arithmetic on alloc_mem_or_null prohibited, null-check it first
.license "GPL"
.map events ringbuf max_entries=4096
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = events ll
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
    r0 += 4
    r0 = 0
    exit
