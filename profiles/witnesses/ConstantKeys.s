# A lookup of a key that the array has is not checked.
# with: accepted
# without: rejected
# without message: R0 invalid mem access 'map_value_or_null'
.license "GPL"
.map numbers array key=u32 value=u64 max_entries=4
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 8) = 1
    r2 = r10
    r2 += -8
    r1 = numbers ll
    call bpf_map_lookup_elem
    r0 = *(u64 *)(r0 + 0)
    r0 = 0
    exit
