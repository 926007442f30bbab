.license "GPL"
.section xdp
.func pass
  r0 = 2
  exit
