; One load reads a socket on one path and the context on the other.
.section cgroup_skb/ingress
.func f
  r6 = r1
  r2 = *(u64 *)(r1 + 168)
  if r2 == 0 goto context
  goto load
context:
  r2 = r6
load:
  r3 = *(u32 *)(r2 + 4)
  r0 = 1
  exit
