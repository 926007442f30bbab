// gives 5
// The call of a function that no kernel has is poisoned; where it is never reached it stops nothing.
.license "GPL"
.kfunc weak int bpf_that_no_kernel_has(int x)

.section tc
.func unreached
    r1 = bpf_that_no_kernel_has ll
    if r1 == 0 goto without
    r1 = 1
    call bpf_that_no_kernel_has
    exit
without:
    r0 = 5
    exit
