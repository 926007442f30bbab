// A loop around a call.
.section "xdp"
.func start
    r6 = 0
    call step
    r6 += 2
    if r6 != 7 goto -3
    r0 = 0
    exit
.func static step
    r0 = 1
    exit
