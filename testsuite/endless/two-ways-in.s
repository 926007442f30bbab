// A loop of one block, entered in two ways.
.section "xdp"
.func start
    r0 = 0
    if r1 == 0 goto +1
    r0 += 2
    r0 += 4
    if r0 != 7 goto -3
    exit
