// Callbacks that call back, three deep, as often as the kernel lets them: eight million times each. The verifier takes it.
.license "GPL"
.section "xdp"
.func start
    r1 = 8388608
    r2 = outer ll
    r3 = 0
    r4 = 0
    call bpf_loop
    r0 = 0
    exit
.func static outer(u32 index, void *ctx)
    r1 = 8388608
    r2 = inner ll
    r3 = 0
    r4 = 0
    call bpf_loop
    r0 = 0
    exit
.func static inner(u32 index, void *ctx)
    r1 = 8388608
    r2 = nothing ll
    r3 = 0
    r4 = 0
    call bpf_loop
    r0 = 0
    exit
.func static nothing(u32 index, void *ctx)
    r0 = 0
    exit
