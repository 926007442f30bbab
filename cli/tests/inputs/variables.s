.license "GPL"
.data u32 total = 5
.section tc
.func add
  r1 = total ll
  r0 = *(u32 *)(r1 + 0)
  r0 += 1
  *(u32 *)(r1 + 0) = r0
  exit
