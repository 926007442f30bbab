; A packet pointer is moved by a number of the packet after the comparison.
.section xdp
.func f
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = r2
  r4 += 1
  if r4 > r3 goto out
  r5 = *(u8 *)(r2 + 0)
  r2 += r5
  r0 = *(u8 *)(r2 + 1)
  exit
out:
  r0 = 1
  exit
