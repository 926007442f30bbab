# A program reads half of a pointer among the arguments of a tracepoint.
# with: rejected
# with message: invalid bpf_context access off=8 size=4
# without: accepted
.license "GPL"
.section tp_btf/sched_switch
.func int witness(void *ctx)
    w2 = *(u32 *)(r1 + 8)
    r0 = 0
    exit
