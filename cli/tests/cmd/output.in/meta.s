; Takes four bytes before the packet for metadata.
.license "GPL"
.section xdp
.func meta
  r2 = -4
  call bpf_xdp_adjust_meta
  r0 = 2
  exit
