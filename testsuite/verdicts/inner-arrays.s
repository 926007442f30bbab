// An array has all its elements, unless another one of any size may stand in for it.
.license "GPL"
.inner fixed array key=u32 value=u64 max_entries=4
.inner sized array key=u32 value=u64 max_entries=4 flags=inner_map
.map a array_of_maps key=u32 inner=fixed max_entries=1
.map b array_of_maps key=u32 inner=sized max_entries=1
.section tc
.func of_this_size
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = a ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r2 = r10
    r2 += -4
    r1 = r0
    call bpf_map_lookup_elem
    r0 = *(u64 *)(r0 + 0)
out:
    r0 = 0
    exit

.func of_any_size
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = b ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r2 = r10
    r2 += -4
    r1 = r0
    call bpf_map_lookup_elem
    r0 = *(u64 *)(r0 + 0)
out:
    r0 = 0
    exit
