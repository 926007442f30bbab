# A tree whose topmost node is its own left neighbour.
.license "GPL"
.map heads array key=u32 value=u8[64] max_entries=1
.section "tc"
.func start
    r1 = 5
    r2 = 0
    call bpf_obj_new_impl
    if r0 == 0 goto out
    *(u64 *)(r0 + 16) = r0
    r6 = r0
    *(u32 *)(r10 - 12) = 0
    r1 = heads ll
    r2 = r10
    r2 += -12
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    *(u64 *)(r0 + 0) = r6
    r1 = r0
    call bpf_rbtree_first
out:
    exit
