// gives 10045
// Ten calls of a function that adds its number to a sum on the caller's stack; saved registers stay.
.section "xdp"
.func sum
    r6 = 1000
    *(u64 *)(r10 - 8) = 0
    r1 = 10
    r2 = add_index ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r0 *= r6
    r1 = *(u64 *)(r10 - 8)
    r0 += r1
    exit
.func static add_index(u32 index, void *ctx)
    r6 = *(u64 *)(r2 + 0)
    r6 += r1
    *(u64 *)(r2 + 0) = r6
    r0 = 0
    exit
