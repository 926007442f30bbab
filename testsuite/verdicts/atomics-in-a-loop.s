// The same in a function, and a loop that does not end.
.map numbers array key_size=4 value_size=48 max_entries=4
.map table hash key_size=4 value_size=16 max_entries=4
    r9 = 0x0
l14:
    r7 = r9
    r2 = r10
    r2 += -0x20
    r1 = map[numbers] ll
    call bpf_map_lookup_elem
    if r0 == 0x0 goto l62
    r8 = r0
    r3 = r9
    r5 = r8
    w9 = *(u32 *)(r5 + 0x0)
    r1 = -0x3b539e97
    call generated_func_101
l62:
    if r0 == 0xdc47e7b goto l92
l92:
    if r9 < 0x4 goto l14
    exit
.func static generated_func_101
    w3 s%= w1
    *(u64 *)(r10 - 0x20) = r3
    r2 = r10
    r2 += -0x20
    r1 = map[table] ll
    call bpf_map_delete_elem
    w4 = *(u32 *)(r10 - 0x1c)
    r0 = 0x7fffffff8 ll
    w4 = atomic_fetch_or((u32 *)(r10 - 0x20), w4)
    r0 ^= r4
    exit
