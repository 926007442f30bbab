// gives 55
// A loop that the verifier does not count to its end.
.section "xdp"
.func start
    r0 = 0
    r1 = 10
    may_goto +3
    r0 += r1
    r1 += -1
    if r1 != 0 goto -4
    exit
