# -28 is ENOSPC.
.license "GPL"
.map ev perf_event_array
.section "tc"
.func start
    r7 = r1
    r6 = 1000
again:
    r1 = r7
    r2 = ev ll
    r3 = 0x20ffffffff ll
    r4 = r10
    r4 += -8
    r5 = 8
    call bpf_perf_event_output
    r6 += -1
    if r6 != 0 goto again
    exit
