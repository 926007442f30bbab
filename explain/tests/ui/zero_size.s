; A helper gets a size that may be zero.
.section tc
.func f
  r6 = r1
  r4 = *(u32 *)(r1 + 0)
  r4 &= 15
  r3 = r10
  r3 += -16
  r2 = 0
  call bpf_skb_load_bytes
  r0 = 0
  exit
