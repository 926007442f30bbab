// Functions that end in a call, as those that never return are compiled; a register call, as clang writes at -O0.
.license "GPL"
.section socket
.func panics
    call never_returns
.func calls_one
    call ends_in_a_call
    r0 = 0
    exit
.func through_a_register
    r3 = 0
    .8byte 0x000000000000038d
    r0 = 0
    exit
.section .text
.func static never_returns
    r1 = 1
    call bpf_trace_printk
.func static ends_in_a_call
    call bpf_ktime_get_ns
