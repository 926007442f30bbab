# What a function returns where its tail call fails is not all that it may return.
# with: rejected
# with message: R9 !read_ok
# without: accepted
.license "GPL"
.map programs prog_array max_entries=1
.section tc
.func int witness(struct __sk_buff *ctx)
    call other
    if r0 != 0 goto never
    r0 = 0
    exit
never:
    r0 = r9
    exit
.func static other
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r0 = 0
    exit
