; Tail calls of a program that the verifier rejects fail.
.license "GPL"
.map jumps prog_array key=u32 value=u32 max_entries=2 values=[good, bad]
.section xdp
.func start
  r2 = jumps ll
  r3 = 1
  call bpf_tail_call
  r0 = 1
  exit
.func good
  r0 = 2
  exit
.func bad
  r0 = r5
  exit
