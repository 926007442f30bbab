// A callback that is never called is dead code, which the kernel removes; then the instruction that takes its address
// has no function to go to. Where another function is behind it, the address becomes that one's; where no other function
// is left, nothing looks at it.
.map more array key_size=4 value_size=8 max_entries=4
.section xdp
.func int last(struct xdp_md *ctx)
    r1 = map[more] ll
    r2 = element ll
    r3 = 0
    r4 = 0
    call bpf_for_each_map_elem
    r2 = never ll
    r0 = 2
    exit

.func int first(struct xdp_md *ctx)
    r2 = never ll
    r1 = map[more] ll
    r2 = element ll
    r3 = 0
    r4 = 0
    call bpf_for_each_map_elem
    r0 = 2
    exit

.func int no_rounds(struct xdp_md *ctx)
    r1 = 0
    r2 = never ll
    r3 = 0
    r4 = 0
    call bpf_loop
    r0 = 2
    exit

.section .text
.func static long element(void *map, void *key, void *value, void *ctx)
    r0 = 1
    exit
.func static long never(long index, void *ctx)
    r0 = 0
    exit
