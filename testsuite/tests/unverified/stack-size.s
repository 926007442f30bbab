.license "GPL"
.section "kprobe/x"
.func start
    r2 = r10
    r2 += -16
    r3 = 0xfffffff8 ll
    r4 = 0
    call bpf_get_stack
    exit
