.license "GPL"
.section "cgroup/sysctl"
.func start
    r2 = r10
    r2 += -16
    r3 = 0x7fffffffffffffff ll
    call bpf_sysctl_get_current_value
    exit
