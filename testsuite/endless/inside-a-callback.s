// A loop in a function that is called back.
.section "xdp"
start:
    r1 = 5
    r2 = back ll
    r3 = 0
    r4 = 0
    call bpf_loop
    r0 = 0
    exit
back:
    r6 += 1
    r7 += 1
    goto -3
    exit
