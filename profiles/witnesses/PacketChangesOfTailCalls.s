# A pointer into the packet is used behind a tail call that failed, in a function that made it.
# with: rejected
# with message: R7 invalid mem access 'scalar'
# without: accepted
.license "GPL"
.map programs prog_array max_entries=1
.section tc
.func int witness(struct __sk_buff *ctx)
    r6 = r1
    r7 = *(u32 *)(r1 + 76)
    r8 = *(u32 *)(r1 + 80)
    r2 = r7
    r2 += 8
    if r2 > r8 goto out
    r1 = r6
    call other
    r0 = *(u8 *)(r7 + 0)
out:
    r0 = 0
    exit
.func static other
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r0 = 0
    exit
