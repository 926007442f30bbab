.license "GPL"
.section tc
.func first
  r0 = 0
  exit
.func second
  r0 = 1
  exit
