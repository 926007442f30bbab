.section xdp
.func f
  *(u64 *)(r10 - 304) = 0
  r1 = *(u64 *)(r10 - 304)
  call last
  r0 = 2
  exit
last:
  r2 = r1
  *(u64 *)(r10 - 256) = r2
  r0 = *(u64 *)(r10 - 256)
  exit
