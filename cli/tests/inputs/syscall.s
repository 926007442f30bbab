.license "GPL"
.section syscall
.func seven
  r0 = 7
  exit
