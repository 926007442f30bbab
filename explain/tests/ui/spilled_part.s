; A pointer on the stack is overwritten in part before it is used again.
.map counts array key=u32 value=u64 max_entries=2
.section tc
.func f
  *(u32 *)(r10 - 4) = 0
  r1 = counts ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  *(u64 *)(r10 - 16) = r0
  *(u8 *)(r10 - 16) = 1
  r1 = *(u64 *)(r10 - 16)
  r0 = *(u64 *)(r1 + 0)
  exit
out:
  r0 = 0
  exit
