# The low half of a pointer that is not null is zero.
# with: rejected
# with message: R9 !read_ok
# without: accepted
.license "GPL"
.map numbers hash key=u32 value=u64 max_entries=4
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = numbers ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    if w0 != 0 goto out
    r0 = r9
    exit
out:
    r0 = 0
    exit
