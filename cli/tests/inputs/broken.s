.section xdp
.func f
  r0 = 2
  call bpf_map_lokup_elem
  exti
