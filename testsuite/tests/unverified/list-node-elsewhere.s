# A node that stands in a map, before which the vm keeps words of its own.
.license "GPL"
.map heads array key=u32 value=u8[64] max_entries=1
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
    r6 = r0
    *(u32 *)(r10 - 12) = 0
    r1 = heads ll
    r2 = r10
    r2 += -12
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = r0
    r2 = r6
    r2 += -24
    r3 = 0
    r4 = 0
    call bpf_list_push_front_impl
out:
    exit
