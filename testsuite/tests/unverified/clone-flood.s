# -12 is ENOMEM.
.license "GPL"
.section "tc"
.func start
    r7 = r1
    r6 = 1000
again:
    r1 = r7
    r2 = 1
    r3 = 0
    call bpf_clone_redirect
    r6 += -1
    if r6 != 0 goto again
    exit
