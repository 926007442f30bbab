.section xdp
.func f
  r0 = 2
  exit
  r0 = 1
  exit
