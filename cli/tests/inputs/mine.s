; A section that only its own loader knows.
.license "GPL"
.section my_loader/one
.func one
  r0 = 2
  exit
