; Maps whose keys are addresses of the network.
.license "GPL"
.struct in_addr {
    u32 s_addr;
}
.struct in6_addr {
    u8 bytes[16];
}
.map peers hash key=struct in_addr value=u64 max_entries=4
.map hardware hash key=u32 value=u8[6] max_entries=4
.map six hash key=struct in6_addr value=u32 max_entries=4
.section xdp
.func f
  r1 = peers ll
  r1 = hardware ll
  r1 = six ll
  r0 = 2
  exit
