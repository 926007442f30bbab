// What a fetching atomic leaves in its register is not followed back to the stack.
.map table hash key_size=4 value_size=16 max_entries=4
.map more array key_size=4 value_size=64 max_entries=4
    r1 = 0xffffffffffffffa ll
    *(u64 *)(r10 - 0x10) = r1
    r2 = r10
    r2 += -0x10
    r1 = map[table] ll
    call bpf_map_delete_elem
    r8 = *(s16 *)(r10 - 0x10)
    if w0 >= w8 goto l34
    goto l36
l34:
    r0 = cmpxchg_64(r10 - 0x10, r0, r8)
l36:
    r2 = r10
    r2 += -0x50
    r1 = map[more] ll
    call bpf_map_lookup_elem
    r0 = cmpxchg_64(r10 - 0x10, r0, r0)
    if r0 == r0 goto l83
    r4 *= -0x7d8735ad
l83:
    exit
