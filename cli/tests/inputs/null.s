; A lookup whose result is used before it is compared with NULL.
.license "GPL"
.map counts hash key=u32 value=u64 max_entries=2
.section xdp
.func count
  *(u32 *)(r10 - 4) = 1
  r1 = counts ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  r1 = *(u64 *)(r0 + 0)
  r1 += 1
  *(u64 *)(r0 + 0) = r1
  r0 = 2
  exit
