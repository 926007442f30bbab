.license "GPL"
.map ring ringbuf max_entries=4096
.section xdp
.func f
  r1 = ring ll
  r2 = 8
  r3 = 0
  call bpf_ringbuf_reserve
  r0 = 2
  exit
