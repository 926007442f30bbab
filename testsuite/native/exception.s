// gives 12
// An exception of a function ends the program, with its number as the result.
.license "GPL"
.kfunc void bpf_throw(u64 cookie)
.section "tc"
.func start
    r6 = r1
    call throws
    r0 = 1
    exit
.func static throws(struct __sk_buff *ctx)
    r1 = *(u32 *)(r1 + 0)
    if r1 > 1000000 goto out
    r1 = 12
    call bpf_throw
out:
    r0 = 2
    exit
