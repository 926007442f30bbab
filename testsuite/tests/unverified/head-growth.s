# -12 is ENOMEM: a packet in segments may be long, but no memory in one piece is that long.
.license "GPL"
.section "tc"
.func start
    r2 = 0x7ffffff0
    r3 = 0
    call bpf_skb_change_head
    exit
