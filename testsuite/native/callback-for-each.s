// gives 78
// Every element of an array is seen, and changed, by a function.
.map numbers array key=u32 value=u64 max_entries=4
.section "xdp"
.func each
    *(u64 *)(r10 - 8) = 0
    r1 = numbers ll
    r2 = fill ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_for_each_map_elem
    r1 = numbers ll
    r2 = fill ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_for_each_map_elem
    r0 = *(u64 *)(r10 - 8)
    exit
.func static fill(void *map, void *key, void *value, void *ctx)
    r5 = *(u32 *)(r2 + 0)
    r0 = *(u64 *)(r3 + 0)
    r0 += r5
    r0 += 5
    *(u64 *)(r3 + 0) = r0
    r5 = *(u64 *)(r4 + 0)
    r5 += r0
    *(u64 *)(r4 + 0) = r5
    r0 = 0
    exit
