; Runs until its budget ends.
.license "GPL"
.section xdp
.func spin
again:
  goto again
  r0 = 0
  exit
