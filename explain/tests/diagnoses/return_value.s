.section cgroup_skb/ingress
.func f
  r0 = 7
  exit
