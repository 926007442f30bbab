; An index that is checked, with a panic handler that loops for ever where the check fails.
.section tc
.func weigh
  r2 = *(u32 *)(r1 + 8)
  if r2 > 15 goto panic
  r0 = r2
  exit
panic:
  goto panic
