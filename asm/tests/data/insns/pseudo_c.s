// Every form of pseudo-C.
r1 = 5
r1 = -5
w1 = 0xffffffff
r1 = r2
w1 = w2
r1 = 0x1122334455667788 ll
r1 = -5 ll
r1 += r2
r1 -= 1
w1 *= w2
r1 /= 3
r1 s/= r2
r1 %= r2
w1 s%= 7
r1 |= 0x0f
r1 &= r2
r1 ^= -1
r1 <<= 3
r1 >>= r2
r1 s>>= 32
r1 = -r1
w1 = -w1
r1 = be16 r1
r1 = le64 r1
r1 = bswap32 r1
r1 = (s8)r2
r1 = (s32)r2
w1 = (s16)w2
r1 = *(u8 *)(r2 + 4)
r1 = *(u64*)(r10-8)
w1 = *(u32 *)(r2)
r1 = *(s16 *)(r2 - 2)
*(u8 *)(r10 - 1) = 5
*(u32 *)(r1 + 0) = w2
*(u32 *)(r1 + 0) = r2
*(u64 *)(r10 - 16) = r0
lock *(u64 *)(r2 - 8) += r3
lock *(u32 *)(r2 + 0) |= w3
lock *(u64 *)(r2 + 0) &= r3
lock *(u32 *)(r2 + 0) ^= r3
r0 = atomic_fetch_add((u64 *)(r1 + 0), r0)
w0 = atomic_fetch_xor((u32 *)(r1 + 0), w0)
r0 = xchg_64(r1+0, r0)
w3 = xchg32_32(r1 - 4, w3)
r0 = cmpxchg_64(r1 + 0, r0, r2)
w0 = cmpxchg32_32(r1 + 0, w0, w2)
w1 = load_acquire((u8 *)(r2 + 0))
r1 = load_acquire((u64 *)(r2 + 8))
store_release((u16 *)(r1 + 0), w2)
store_release((u64 *)(r1 + 0), r2)
r1 = addr_space_cast(r1, 0, 1)
r1 = addr_space_cast(r2, 1, 0)
r0 = *(u8 *)skb[12]
r0 = *(u16 *)skb[r1]
r0 = *(u32 *)skb[r1 + 4]
ld_pseudo r1, 0x1, 0x5
r1 = map[fd:5] ll
r1 = map[fd:5][0] + 8 ll
r1 = map[idx:2] ll
r1 = btf[7] ll
call 1
call -1
call bpf_map_lookup_elem
call map_update_elem
call bpf_get_prandom_u32#7
call bpf_some_kfunc#1234
call kfunc 1234, 2
callx r1
goto +1
gotol -2
may_goto +1
if r1 == 5 goto +1
if r1 & 7 goto +3
if w1 s> 5 goto -1
if r1 s<= r2 goto +1
if r1 < 0xffffffff goto +1
exit
.8byte 0x0123456789abcdef
