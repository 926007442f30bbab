// Jumps that lead to jumps.
.section "xdp"
.func start
    r0 = 0
    goto +1
    goto +1
    goto -2
    exit
