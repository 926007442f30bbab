// Jumps that lead to each other.
.section "xdp"
.func start
    r0 = 0
    goto +1
    exit
    goto +0
    goto -4
    exit
