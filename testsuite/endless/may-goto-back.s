// When its iterations are over, an instruction jumps to itself.
.section "xdp"
start:
    r0 = 0
    may_goto -1
    goto -2
    exit
