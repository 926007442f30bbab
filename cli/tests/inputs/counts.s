; Counts packets by their length.
.license "GPL"
.map counts hash key=u32 value=u64 max_entries=2
.section xdp
.func count
  r6 = *(u32 *)(r1 + 4)
  r2 = *(u32 *)(r1 + 0)
  r6 -= r2
  *(u32 *)(r10 - 4) = r6
  r1 = counts ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  r1 = 1
  lock *(u64 *)(r0 + 0) += r1
out:
  r0 = 2
  exit
