.license "GPL"
.func static inner
    r0 = 0
    exit
.func static outer
    r1 = 8388608
    r2 = inner ll
    r3 = 0
    r4 = 0
    call bpf_loop
    r0 = 0
    exit
.section "xdp"
.func start
    r1 = 8388608
    r2 = outer ll
    r3 = 0
    r4 = 0
    call bpf_loop
    exit
