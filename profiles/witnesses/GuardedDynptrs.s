# A dynptr is made in the place of another.
# with: accepted
# without: rejected
# without message: Dynptr has to be an uninitialized dynptr
.license "GPL"
.map values array key=u32 value=u64 max_entries=1
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = values ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r6 = r0
    r1 = r6
    r2 = 8
    r3 = 0
    r4 = r10
    r4 += -24
    call bpf_dynptr_from_mem
    r1 = r6
    r2 = 8
    r3 = 0
    r4 = r10
    r4 += -24
    call bpf_dynptr_from_mem
out:
    r0 = 0
    exit
