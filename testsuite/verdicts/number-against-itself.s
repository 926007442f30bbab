// A number of two values held against itself: on the branch that cannot be taken it keeps the one value that bits and
// range leave.
.section xdp
.func int without_sign(struct xdp_md *ctx)
    r9 = *(u32 *)(r1 + 12)
    w9 &= 4
    if r9 <= r9 goto same
    r0 = r9
    r0 += 1
same:
    r0 = 2
    exit

.func int with_sign(struct xdp_md *ctx)
    r9 = *(u32 *)(r1 + 12)
    w9 &= 4
    if r9 s<= r9 goto equal
    r0 = r9
    r0 += 1
equal:
    r0 = 2
    exit

.func int narrow(struct xdp_md *ctx)
    r9 = *(u32 *)(r1 + 12)
    w9 &= 4
    if w9 > w9 goto never
    r0 = 2
    exit
never:
    r0 = r9
    r0 += 1
    exit
