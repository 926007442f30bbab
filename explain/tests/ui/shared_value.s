; One load reads a map's value on one path and the context on the other.
.map sizes hash key=u32 value=u64 max_entries=2
.section tc
.func f
  r6 = r1
  *(u32 *)(r10 - 4) = 0
  r1 = sizes ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 != 0 goto load
  r0 = r6
load:
  r0 = *(u32 *)(r0 + 0)
  exit
