.license "GPL"
.section xdp
.func f
  r2 = 0
  r3 = 0
  call bpf_skb_change_tail
  r0 = 2
  exit
