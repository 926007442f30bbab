# What may be no map is looked up in.
# with: rejected
# with message: R1 type=map_ptr_or_null expected=map_ptr
# without: rejected
# without message: R1 type=map_value_or_null expected=map_ptr
.license "GPL"
.map outer array_of_maps key=u32 inner=numbers max_entries=1
.map numbers array key=u32 value=u64 max_entries=1
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = outer ll
    call bpf_map_lookup_elem
    r1 = r0
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    r0 = 0
    exit
