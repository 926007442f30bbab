// A short loop that could be left in the middle.
.section "xdp"
.func start
    r0 = 0
    r1 = 0
    r1 += 2
    if r1 == 7 goto +1
    if r0 == 0 goto -3
    exit
