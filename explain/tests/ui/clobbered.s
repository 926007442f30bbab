; The context is used after a call that leaves nothing in r1.
.license "GPL"
.section tc
.func f
  call bpf_ktime_get_ns
  r0 = *(u32 *)(r1 + 0)
  exit
