; What the kernel's log writes may be pasted.
0: (b7) r1 = 0                        ; R1_w=0
1: (63) *(u32 *)(r10 -4) = r1         ; R1_w=0 R10=fp0
2: (18) r1 = 0xffff888103a7e400       ; R1_w=map_ptr(ks=4,vs=8)
4: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null
5: (15) if r0 == 0x0 goto pc+3
6: (db) r1 = atomic64_fetch_add((u64 *)(r0 +0), r1)
7: (db) lock *(u64 *)(r0 +0) += r1
8: (bc) w2 = (s8)w1
9: (85) call pc+1
10: (95) exit
11: (b4) w0 = 0
12: (95) exit
