.license "GPL"
.section "tc"
.func start
    r6 = r1
    r2 = r10
    r2 += -28
    r3 = 28
    r4 = 0
    call bpf_skb_set_tunnel_key
    r1 = r6
    r2 = r10
    r2 += -16
    r3 = 8
    call bpf_skb_set_tunnel_opt
    r1 = r6
    r2 = r10
    r2 += -16
    r3 = 0xfffffff0 ll
    call bpf_skb_get_tunnel_opt
    exit
