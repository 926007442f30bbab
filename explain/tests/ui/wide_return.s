; A control group's program returns a length.
.section cgroup_skb/egress
.func f
  r0 = *(u32 *)(r1 + 0)
  exit
