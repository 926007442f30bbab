// gives 7
// The CPU's number, between other helpers: both answers are the same, and it is small.
.section "xdp"
.func start
    call bpf_get_smp_processor_id
    r6 = r0
    call bpf_get_prandom_u32
    r7 = r0
    call bpf_get_smp_processor_id
    if r0 != r6 goto +2
    if r6 > 4095 goto +1
    goto +2
    r0 = 0
    exit
    r0 = 7
    exit
