// A mask of all bits or none forks where a constant is combined with it by AND or OR.
.section xdp
    w5 = *(u32 *)(r1 + 12)
    r5 &= 1
    r5 = -r5
    r5 |= 6
    r0 = r5
    r4 = *(u32 *)(r1 + 12)
    r4 &= 1
    r4 = -r4
    r3 = 0x12345
    w4 &= w3
    r4 = *(u32 *)(r1 + 12)
    r4 &= 1
    r4 = -r4
    r4 ^= r3
    r4 = *(u32 *)(r1 + 12)
    r4 &= 1
    r4 = -r4
    r2 = r4
    w4 |= 9
    r3 = *(u32 *)(r1 + 12)
    r2 &= r3
    exit
