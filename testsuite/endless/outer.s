// An inner loop that ends; its end leads to the head of the outer one, which does not.
.section "xdp"
.func start
    r0 = 0
    r1 = 0
    r1 += 1
    if r1 != 3 goto -2
    goto -4
    exit
