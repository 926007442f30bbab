r1 =
r1 = 5 6
r1 ** r2
if r1 == goto +1
if r1 == 5 got +1
*(u32 *)(r1 + 0) =
*(u33 *)(r1 + 0) = 5
lock *(u64 *)(r1 + 0) -= r2
lock *(u8 *)(r1 + 0) += r2
r0 = load_acquire(r1)
load_acquire((u64 *)(r1 + 0))
r1 = 5 ; this is no comment
r1 = @
ldxw r1, [r2]
