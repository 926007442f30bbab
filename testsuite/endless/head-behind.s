// The head stands behind the body, which falls into it.
.section "xdp"
.func start
    r0 = 0
    goto +1
    r0 += 2
    if r0 != 7 goto -2
    exit
