# A pointer that may be null is moved.
# with: rejected
# with message: R0 pointer arithmetic on map_value_or_null prohibited, null-check it first
# without: rejected
# without message: R0 pointer arithmetic on map_value_or_null prohibited
.license "GPL"
.map hits array value=u64 max_entries=1
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = *(u32 *)(r1 + 0)
    *(u32 *)(r10 - 4) = r1
    r2 = r10
    r2 += -4
    r1 = hits ll
    call bpf_map_lookup_elem
    r0 += 1
    r0 = 0
    exit
