.license "GPL"
.map counts hash key=u32 value=u64 max_entries=2
.section xdp
.func f
  r1 = counts ll
  r2 = 7
  call bpf_map_lookup_elem
  r0 = 2
  exit
