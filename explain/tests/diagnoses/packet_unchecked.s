.section xdp
.func f
  r2 = *(u32 *)(r1 + 0)
  r0 = *(u8 *)(r2 + 12)
  exit
