// A short loop, whose condition always holds.
.section "xdp"
.func start
    r0 = 0
    r1 = 0
    r1 += 1
    if r0 == 0 goto -2
    exit
