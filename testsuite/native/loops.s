// gives 12340
// Loops of many forms: left in the middle, inside another, jumped into at the end, with a jump to a jump back.
.section "xdp"
.func start
    r0 = 0
    // Counted up to a number, left in the middle: 1 + ... + 6.
    r1 = 0
    r1 += 1
    if r1 == 7 goto +2
    r0 += r1
    if r1 != 100 goto -4
    // One inside the other, whose end leads to the outer one's head: 4 * 5.
    r2 = 0
    r2 += 1
    if r2 == 5 goto +5
    r3 = 0
    r3 += 1
    r0 += 1
    if r3 != 5 goto -3
    goto -7
    // Entered at its end: 10 + 9 + ... + 1.
    r4 = 11
    goto +1
    r0 += r4
    r4 += -1
    if r4 != 0 goto -3
    // 32 bits wide, counted down, with a difference and a sum on the way: 3 * (7 - 2).
    w5 = 3
    w0 += 7
    w0 -= 2
    w5 -= 1
    if w5 != 0 goto -4
    // One instruction that leads to itself while a bit is set, which it never is.
    r6 = 4
    if r6 & 3 goto -1
    // On the stack, with an index: the squares of 0 to 7 as bytes, added up: 140.
    r7 = 0
    r8 = r10
    r8 += -8
    r8 += r7
    r9 = r7
    r9 *= r7
    *(u8 *)(r8 + 0) = r9
    r7 += 1
    if r7 != 8 goto -8
    r7 = -8
    r8 = r10
    r8 += r7
    r9 = *(u8 *)(r8 + 0)
    r0 += r9
    r7 += 1
    if r7 != 0 goto -6
    // 21 + 20 + 55 + 15 + 140 = 251.
    r0 += 12089
    exit
