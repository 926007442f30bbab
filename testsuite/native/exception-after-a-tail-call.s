// gives 105
// An exception of a program that a function has called as its tail ends that program alone.
.license "GPL"
.kfunc void bpf_throw(u64 cookie)
.map programs prog_array max_entries=1 values=[target]
.section "tc"
.func start
    r6 = 100
    call jumps
    r0 += r6
    exit
.func static jumps(struct __sk_buff *ctx)
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r0 = 3
    exit
.func target
    call throws
    r0 = 1
    exit
.func static throws(struct __sk_buff *ctx)
    r1 = *(u32 *)(r1 + 0)
    if r1 > 1000000 goto out
    r1 = 5
    call bpf_throw
out:
    r0 = 2
    exit
