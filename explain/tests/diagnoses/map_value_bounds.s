.license "GPL"
.map counts array key=u32 value=u64 max_entries=2
.section xdp
.func f
  *(u32 *)(r10 - 4) = 1
  r1 = counts ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  r0 = *(u64 *)(r0 + 4)
out:
  r0 = 2
  exit
