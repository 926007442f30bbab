# A program reads the information of a signal, which may be none.
# with: rejected
# with message: R1 invalid mem access 'scalar'
# without: accepted
.license "GPL"
.section tp_btf/signal_deliver
.func int witness(u64 *ctx)
    r1 = *(u64 *)(r1 + 8)
    r0 = *(u32 *)(r1 + 0)
    r0 = 0
    exit
