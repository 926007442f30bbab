// gives 1007
// A tail call from a function ends the function; its caller goes on with the other program's result.
.map programs prog_array max_entries=1 values=[target]
.section "xdp"
.func start
    r6 = 1000
    *(u64 *)(r10 - 8) = r6
    call jumps
    r1 = *(u64 *)(r10 - 8)
    r0 += r1
    if r1 == r6 goto +1
    r0 = 1
    exit
.func static jumps(struct xdp_md *ctx)
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r0 = 3
    exit
.func target
    r6 = 5
    *(u64 *)(r10 - 8) = r6
    r0 = *(u64 *)(r10 - 8)
    r0 += 2
    exit
