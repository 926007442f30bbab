// gives 34
// A program that goes on in itself does so 33 times.
.map count array key=u32 value=u64 max_entries=1
.map programs prog_array max_entries=1 values=[start]
.section "xdp"
.func start
    r6 = r1
    *(u32 *)(r10 - 4) = 0
    r1 = count ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto +9
    r7 = r0
    r1 = *(u64 *)(r7 + 0)
    r1 += 1
    *(u64 *)(r7 + 0) = r1
    r1 = r6
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r0 = *(u64 *)(r7 + 0)
    exit
