# A function that changes the packet is given a pointer into it.
# with: rejected
# with message: Caller passes invalid args into func#1 ('other')
# without: accepted
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 8
    if r4 > r3 goto out
    call other
out:
    r0 = 0
    exit
.section .text
.func global int other(struct __sk_buff *ctx, u64 *number)
    r2 = 0
    call bpf_skb_pull_data
    exit
