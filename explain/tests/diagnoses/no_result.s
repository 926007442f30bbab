.section xdp
.func f
  r1 = 0
  exit
