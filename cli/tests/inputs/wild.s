; Reads where nothing is, from the second packet on.
.license "GPL"
.map seen array key=u32 value=u64 max_entries=1
.section xdp
.func stray
  *(u32 *)(r10 - 4) = 0
  r1 = seen ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  r1 = *(u64 *)(r0 + 0)
  r2 = r1
  r2 += 1
  *(u64 *)(r0 + 0) = r2
  if r1 == 0 goto out
  r0 = 64
  r0 = *(u8 *)(r0 + 0)
out:
  r0 = 2
  exit
