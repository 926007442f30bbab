.section xdp
.func f
  *(u64 *)(r10 - 256) = 0
  r1 = *(u64 *)(r10 - 256)
  call last
  r0 = 2
  exit
last:
  r2 = r1
  *(u64 *)(r10 - 304) = r2
  r0 = *(u64 *)(r10 - 304)
  exit
