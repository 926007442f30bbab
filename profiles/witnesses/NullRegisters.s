# A pointer is compared with null in a register.
# with: accepted
# without: rejected
# without message: R0 invalid mem access 'map_value_or_null'
.license "GPL"
.map numbers hash key=u32 value=u64 max_entries=4
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = numbers ll
    call bpf_map_lookup_elem
    r2 = 0
    if r0 == r2 goto out
    r0 = *(u64 *)(r0 + 0)
out:
    r0 = 0
    exit
