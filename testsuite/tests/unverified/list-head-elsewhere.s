# A list whose head is said to stand before a value of a hash map.
.license "GPL"
.map table hash key=u64 value=u8[64] max_entries=4
.section "tc"
.func start
    *(u64 *)(r10 - 8) = 1
    r1 = table ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -128
    r4 = 0
    call bpf_map_update_elem
    r1 = table ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = r0
    r1 += -24
    call bpf_list_pop_front
out:
    exit
