// gives 127
// Quotients and remainders of numbers whose size is known, and of some whose is not; a bit for each that is right.
.section "xdp"
.func start
    r0 = 0
    r6 = 0x123456789abcdef0 ll
    *(u64 *)(r10 - 8) = r6
    // Both are below two to the 32nd.
    r1 = *(u32 *)(r10 - 8)
    r2 = *(u8 *)(r10 - 8)
    r2 |= 1
    r1 /= r2
    if r1 != 0xa45e66 goto +1
    r0 |= 1
    // The dividend is not.
    r1 = *(u64 *)(r10 - 8)
    r2 = *(u16 *)(r10 - 8)
    r2 |= 16
    r1 %= r2
    if r1 != 0xccf0 goto +1
    r0 |= 2
    // By a number; the low half of a product.
    r1 = *(u16 *)(r10 - 8)
    r1 *= r1
    r1 /= 1000
    if r1 != 0x31b37d goto +1
    r0 |= 4
    // A divisor that may be zero, and is.
    r1 = *(u32 *)(r10 - 8)
    r2 = *(u32 *)(r10 - 4)
    r2 &= 1
    r1 %= r2
    r3 = 0x9abcdef0 ll
    if r1 != r3 goto +1
    r0 |= 8
    r1 /= r2
    if r1 != 0 goto +1
    r0 |= 16
    // One whose low half is zero, in 32 bits.
    r2 = *(u32 *)(r10 - 4)
    r2 <<= 32
    r2 |= 0
    r1 = 77
    w1 /= w2
    if r1 != 0 goto +1
    r0 |= 32
    // Not zero in 64 bits, but in 32.
    r2 = 1
    r2 <<= 32
    r1 = 77
    w1 %= w2
    if r1 != 77 goto +1
    r0 |= 64
    exit
