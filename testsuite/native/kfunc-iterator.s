// gives 45
// Numbers from an iterator of the kernel, which keeps its state on the stack.
.license "GPL"
.kfunc int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)
.kfunc int *bpf_iter_num_next(struct bpf_iter_num *it)
.kfunc void bpf_iter_num_destroy(struct bpf_iter_num *it)
.section "xdp"
.func start
    r6 = 0
    r1 = r10
    r1 += -8
    r2 = 0
    r3 = 10
    call bpf_iter_num_new
    r1 = r10
    r1 += -8
    call bpf_iter_num_next
    if r0 == 0 goto +3
    r1 = *(s32 *)(r0 + 0)
    r6 += r1
    goto -7
    r1 = r10
    r1 += -8
    call bpf_iter_num_destroy
    r0 = r6
    exit
