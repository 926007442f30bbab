// gives 255
// Numbers put together from bytes; a bit of the result for each that is as it should be.
.section "xdp"
.func start
    r0 = 0
    r1 = 0x8877665544332211 ll
    *(u64 *)(r10 - 8) = r1
    // Big-endian, 16 bits.
    r1 = *(u8 *)(r10 - 8)
    r2 = *(u8 *)(r10 - 7)
    r1 <<= 8
    r1 |= r2
    if r1 != 0x1122 goto +1
    r0 |= 1
    // Little-endian, 16 bits, in the other order.
    r1 = *(u8 *)(r10 - 6)
    r2 = *(u8 *)(r10 - 5)
    w2 <<= 8
    w2 ^= w1
    if r2 != 0x4433 goto +1
    r0 |= 2
    // Big-endian, 32 bits.
    r1 = *(u8 *)(r10 - 8)
    r2 = *(u8 *)(r10 - 7)
    r3 = *(u8 *)(r10 - 6)
    r4 = *(u8 *)(r10 - 5)
    w1 <<= 24
    w2 <<= 16
    w3 <<= 8
    w1 |= w2
    w3 |= w4
    w1 |= w3
    if w1 != 0x11223344 goto +1
    r0 |= 4
    // Little-endian, 64 bits, of halves that are loaded whole.
    r1 = *(u32 *)(r10 - 8)
    r2 = *(u32 *)(r10 - 4)
    r2 <<= 32
    r1 += r2
    r2 = 0x8877665544332211 ll
    if r1 != r2 goto +1
    r0 |= 8
    // A store between the loads: the first byte is what it was.
    r1 = *(u8 *)(r10 - 8)
    r2 = 0x99
    *(u8 *)(r10 - 8) = r2
    r2 = *(u8 *)(r10 - 7)
    r2 <<= 8
    r1 |= r2
    if r1 != 0x2211 goto +1
    r0 |= 16
    // Three bytes.
    r1 = *(u8 *)(r10 - 8)
    r2 = *(u8 *)(r10 - 7)
    r3 = *(u8 *)(r10 - 6)
    r2 <<= 8
    r3 <<= 16
    r1 |= r2
    r1 |= r3
    if r1 != 0x332299 goto +1
    r0 |= 32
    // Bytes that are not side by side, and one that loses bits.
    r1 = *(u8 *)(r10 - 7)
    r2 = *(u8 *)(r10 - 5)
    w1 <<= 28
    r2 <<= 36
    r1 |= r2
    if w1 != 0x20000000 goto +3
    r1 >>= 36
    if r1 != 0x44 goto +1
    r0 |= 64
    // The same byte twice does not join.
    r1 = *(u8 *)(r10 - 7)
    r2 = r1
    r2 <<= 8
    r1 += r2
    if r1 != 0x2222 goto +1
    r0 |= 128
    exit
