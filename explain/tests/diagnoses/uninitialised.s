.section xdp
.func f
  r0 = r3
  exit
