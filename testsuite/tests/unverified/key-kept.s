# The address of an array's key is used after the callback that got it.
.license "GPL"
.map cells array key=u32 value=u64 max_entries=2
.section "tc"
.func static visit
    *(u64 *)(r4 + 0) = r2
    r0 = 0
    exit
.func start
    r1 = cells ll
    r2 = visit ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_for_each_map_elem
    r1 = *(u64 *)(r10 - 8)
    r0 = *(u32 *)(r1 + 0)
    exit
