// An iterator of eight million numbers, which is as many as there may be. The verifier takes it.
.license "GPL"
.kfunc int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)
.kfunc int *bpf_iter_num_next(struct bpf_iter_num *it)
.kfunc void bpf_iter_num_destroy(struct bpf_iter_num *it)
.section "xdp"
.func start
    r1 = r10
    r1 += -8
    r2 = 0
    r3 = 8388608
    call bpf_iter_num_new
next:
    r1 = r10
    r1 += -8
    call bpf_iter_num_next
    if r0 != 0 goto next
    r1 = r10
    r1 += -8
    call bpf_iter_num_destroy
    r0 = 0
    exit
