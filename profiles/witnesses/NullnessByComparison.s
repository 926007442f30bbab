# A pointer that equals one that is not null is used unchecked.
# with: accepted
# without: rejected
# without message: R6 invalid mem access 'map_value_or_null'
.license "GPL"
.map numbers hash key=u32 value=u64 max_entries=4
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 1
    r2 = r10
    r2 += -4
    r1 = numbers ll
    call bpf_map_lookup_elem
    r6 = r0
    r2 = r10
    r2 += -4
    r1 = numbers ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    if r0 != r6 goto out
    r0 = *(u64 *)(r6 + 0)
out:
    r0 = 0
    exit
