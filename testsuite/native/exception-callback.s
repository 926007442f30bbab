// gives 49
// The function that a tag names gets the exception's number, and gives the program's result.
.license "GPL"
.kfunc void bpf_throw(u64 cookie)
.section "tc"
.func int start(struct __sk_buff *ctx)
    r0 = *(u32 *)(r1 + 0)
    if r0 > 1000000 goto out
    r1 = 42
    call bpf_throw
out:
    r0 = 2
    exit
.section ".text"
.func global int handler(u64 cookie)
    r6 = 0
    *(u64 *)(r10 - 8) = r6
    r0 = r1
    r0 += 7
    exit
.tag start "exception_callback:handler"
