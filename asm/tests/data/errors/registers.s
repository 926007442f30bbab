r11 = 5
r1 = w2
w1 = r2
w3 += r3
w1 = *(u64 *)(r2 + 0)
r1 = *(u8 *)(w2 + 0)
*(u64 *)(r1 + 0) = w2
r1 = be16 r2
w1 = be16 w1
r0 = atomic_fetch_add((u32 *)(r1 + 0), r0)
r0 = atomic_fetch_add((u64 *)(r1 + 0), r2)
r1 = cmpxchg_64(r1 + 0, r0, r2)
if r1 > w2 goto +1
w0 = *(u8 *)skb[12]
r1 = (s8)w2
w1 = (s32)w2
exit
