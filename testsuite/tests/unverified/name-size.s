.license "GPL"
.section "kprobe/x"
.func start
    r1 = r10
    r1 += -16
    r2 = 0xfffffff0 ll
    call bpf_get_current_comm
    exit
