// An instruction that leads to itself.
.section "xdp"
.func start
    goto -1
    exit
