; The program may run past its end.
.section xdp
.func f
  r0 = 2
  if r1 != 0 goto out
  exit
out:
  r0 = 1
