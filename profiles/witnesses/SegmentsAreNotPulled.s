# A program at segment routing makes its packet linear.
# with: rejected
# with message: unknown func bpf_skb_pull_data#39
# with message: program of this type cannot use helper bpf_skb_pull_data#39
# without: accepted
.license "GPL"
.section lwt_seg6local
.func int witness(struct __sk_buff *ctx)
    r2 = 0
    call bpf_skb_pull_data
    r0 = 0
    exit
