// A jump in a short loop leads out of it, further back.
.section "xdp"
start:
    r7 = 0
again:
    r8 = r7
    r7 += 1
    if r7 < 6 goto again
    r8 += 1
    r8 &= 7
    if r8 != 77 goto -4
    exit
