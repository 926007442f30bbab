; Where programs are to be attached, with names that the kernel does not have.
.license "GPL"
.section kprobe/do_unlinkatt
.func unlinked
  r0 = 0
  exit
.section tp/sched/sched_swich
.func switched
  r0 = 0
  exit
