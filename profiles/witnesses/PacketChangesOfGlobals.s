# A function changes the packet while its caller holds a pointer into it.
# with: rejected
# with message: R7 invalid mem access 'scalar'
# without: accepted
.license "GPL"
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
.section .text
.func global int other(struct __sk_buff *ctx)
    r2 = 0
    call bpf_skb_pull_data
    exit
