.section xdp
.func f
  r0 = 0
again:
  r0 += 1
  if r0 < 10 goto again
  if r0 == 10 goto out
  r0 = 1
  exit
out:
  r0 = 2
  exit
.section tc
.func other
  r0 = 0
  exit
