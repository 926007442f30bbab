// gives 123
// A call of an empty slot and one behind the last fail; the third goes on in another program, which sees the packet.
.map programs prog_array max_entries=4 values=[2: target]
.section "xdp"
.func start
    r6 = r1
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r1 = r6
    r2 = programs ll
    r3 = 4
    call bpf_tail_call
    r1 = r6
    r2 = programs ll
    r3 = 2
    call bpf_tail_call
    r0 = 1
    exit
.func target
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 14
    r0 = 2
    if r4 > r3 goto +3
    r0 = *(u8 *)(r2 + 0)
    r0 &= 0
    r0 += 123
    exit
