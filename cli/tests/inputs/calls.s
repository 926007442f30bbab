; A local function and a callback.
.license "GPL"
.map m array key=u32 value=u64 max_entries=1
.section tc
.func main
  r6 = r1
  r1 = 3
  call double
  r1 = r0
  r2 = each ll
  r3 = 0
  r4 = 0
  call bpf_loop
  if r0 == 0 goto none
  r0 = 1
  exit
none:
  r1 = m ll
  r0 = 0
  exit
.func static double
  r0 = r1
  r0 += r1
  exit
.func static each
  r0 = 0
  exit
