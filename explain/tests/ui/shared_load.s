; One load goes through the context on one path and through the stack on the other.
.section tc
.func f
  r2 = r10
  r2 += -8
  *(u64 *)(r10 - 8) = 7
  r3 = *(u32 *)(r1 + 0)
  if r3 > 64 goto load
  r2 = r1
load:
  r0 = *(u32 *)(r2 + 0)
  exit
