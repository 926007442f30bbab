# A tag says that an argument is never null; kernels that do not know it take an argument that may be.
# with: rejected
# with message: Caller passes invalid args into func#1 ('other')
# without: accepted
.license "GPL"
.map numbers hash key=u32 value=u32 max_entries=1
.tag other 0 "arg:nonnull"
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = numbers ll
    call bpf_map_lookup_elem
    r1 = r0
    call other
    r0 = 0
    exit
.section .text
.func global int other(u32 *number)
    r0 = 0
    if r1 == 0 goto out
    r0 = *(u32 *)(r1 + 0)
out:
    exit
