.section xdp
.func f
  r0 = 2
again:
  r1 = 1
  goto again
