// gives 34
// A program whose function calls the program again as its tail, twice: 33 tail calls in all, whichever function makes them.
.license "GPL"
.map programs prog_array max_entries=1 values=[start]
.map count array key=u32 value=u64 max_entries=1
.section "tc"
.func start
    r6 = r1
    *(u32 *)(r10 - 4) = 0
    r1 = count ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r7 = r0
    r1 = *(u64 *)(r7 + 0)
    r1 += 1
    *(u64 *)(r7 + 0) = r1
    r1 = r6
    call again
    r1 = r6
    call again
    r0 = *(u64 *)(r7 + 0)
    exit
out:
    r0 = 0
    exit
.func static again(struct __sk_buff *ctx)
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r0 = 0
    exit
