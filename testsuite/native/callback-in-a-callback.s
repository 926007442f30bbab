// gives 500
// A function that is called back calls back another one, which ends its loop after four of nine rounds: a hundred times
// four, and the hundred rounds of the outer loop.
.section "xdp"
.func outer
    *(u64 *)(r10 - 8) = 0
    r1 = 100
    r2 = middle ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r1 = *(u64 *)(r10 - 8)
    r0 += r1
    exit
.func static middle(u32 index, void *ctx)
    r6 = r1
    r7 = r2
    *(u64 *)(r10 - 8) = 0
    r1 = 9
    r2 = inner ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r1 = *(u64 *)(r7 + 0)
    r1 += r0
    *(u64 *)(r7 + 0) = r1
    r0 = 0
    if r6 < 99 goto +1
    r0 = 1
    exit
.func static inner(u32 index, void *ctx)
    r3 = *(u64 *)(r2 + 0)
    r3 += 1
    *(u64 *)(r2 + 0) = r3
    r0 = 0
    if r3 < 4 goto +1
    r0 = 1
    exit
