; A loop whose end the verifier does not see: it walks every round.
.license "GPL"
.section xdp
.func count
  r6 = 0
again:
  r6 += 1
  call bpf_get_prandom_u32
  if r0 == 7 goto out
  if r6 != 2000000 goto again
out:
  r0 = 2
  exit
