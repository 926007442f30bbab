// What an atomic operation reads of a number on the stack, and gives to no register, is not followed.
.section xdp
    r6 = r1
    r2 = 0x6d7949bd
    w2 /= w2
    *(u64 *)(r10 - 0x60) = r2
    r2 *= r2
    r9 = 0x0
l7:
    if r9 s>= r2 goto l11
    goto l42
l11:
    w1 = *(u32 *)(r6 + 0x0)
    w8 = *(u32 *)(r6 + 0x4)
    r7 = r1
    r7 += 0x3a
    if r7 > r8 goto l24
    w7 = *(u32 *)(r1 + 0x6)
    goto l25
l24:
    r7 = -0x1
l25:
    lock *(u32 *)(r10 - 0x60) &= w7
l42:
    r2 = *(u64 *)(r10 - 0x60)
    if w9 s< 0x5244a2d6 goto l66
l66:
    r9 += 0x1
    if r9 < 0x2 goto l7
    r0 = 0x1
    exit
