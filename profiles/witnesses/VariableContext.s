# A context is read at a place that is not known.
# with: accepted
# without: rejected
# without message: variable ctx access var_off=(0x0; 0x4) disallowed
.license "GPL"
.section syscall
.func int witness(void *ctx)
    r2 = *(u32 *)(r1 + 0)
    r2 &= 4
    r1 += r2
    r0 = *(u32 *)(r1 + 0)
    r0 = 0
    exit
