; Every form of mnemonic, as ubpf, rbpf and the conformance suite write them.
mov r1, 5
mov64 %r1, %r2
mov32 r1, -1
add r1, r2
sub32 w1, w2
mul r1, 3
div r1, r2
sdiv32 r1, r2
smod r1, 7
or r1, 0x0f
and r1, r2
xor32 r1, -1
lsh r1, 3
rsh r1, r2
arsh r1, 32
neg r1
neg32 r1
movsx832 r1, r2
movsx1664 r1, r2
movsx3264 r1, r2
be16 r1
le64 r1
swap32 r1
bswap16 r1
lddw r1, 0x1122334455667788
lddw r1, map[fd:5]
ldxb r1, [r2+4]
ldxdw r1, [r10-8]
ldxw r1, [r2]
ldxsh r1, [r2-2]
ldsxw r1, [r2]
stb [r10-1], 5
stdw [r10-8], -1
stxw [r1], r2
stxdw [r10-16], r0
lock add [r2-8], r3
lock xadd [r2], r3
lock or32 [r2], r3
lock fetch_add [r1], r0
lock fetch xor32 [r1+4], r0
lock xchg [r1], r0
lock cmpxchg32 [r1], r2
load_acquireb r1, [r2]
store_releasedw [r1+8], r2
addr_space_cast r1, r2, 0, 1
ldabsb 12
ldindh r1, 4
call 1
call helper 2
call bpf_ktime_get_ns
call local +1
call runtime 9
callx r1
ja +1
ja32 -1
may_goto +1
jeq r1, 5, +1
jset r1, r2, -1
jsgt32 r1, 5, exit # the first exit of the text
jle32 w1, w2, done
done:
exit
