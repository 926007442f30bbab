; A loop whose end depends on memory of the packet's context only.
.section tc
.func f
again:
  r2 = *(u32 *)(r1 + 0)
  if r2 > 64 goto again
  r0 = 0
  exit
