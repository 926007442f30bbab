# A callback ends in a tail call.
# with: rejected
# with message: cannot tail call within callback
# without: rejected
# without message: verifier bug: callback unexpected regs 1
.license "GPL"
.map programs prog_array max_entries=1
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u64 *)(r10 - 8) = r1
    r1 = 2
    r2 = step ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r0 = 0
    exit
.func static step(u32 index, void *ctx)
    r1 = *(u64 *)(r2 + 0)
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r0 = 0
    exit
