// A number to which a pointer is added becomes that pointer, but for what ties the pointer to a reference and to its
// frame.
.license "GPL"
.map ring ringbuf max_entries=4096
.section raw_tp
.func int record_that_is_gone(void *ctx)
    r1 = ring ll
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    r6 = 0
    r6 += r0
    r1 = r0
    r2 = 0
    call bpf_ringbuf_submit
    r0 = *(u64 *)(r6 + 0)
out:
    r0 = 0
    exit
.func int frame_of_another(void *ctx)
    *(u64 *)(r10 - 8) = 0
    call inner
    r0 = *(u64 *)(r10 - 8)
    exit
.section .text
.func static int inner(void)
    r1 = -8
    r1 += r10
    *(u64 *)(r1 + 0) = 1
    r0 = *(u64 *)(r10 - 8)
    exit
