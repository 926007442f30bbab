; Lets the packet grow to 9,000 bytes.
.license "GPL"
.section tc
.func grow
  r2 = 9000
  r3 = 0
  call bpf_skb_change_tail
  r0 = 0
  exit
