.section xdp
.func f
  r1 = 0
  *(u64 *)(r10 - 516) = r1
  r0 = 2
  exit
