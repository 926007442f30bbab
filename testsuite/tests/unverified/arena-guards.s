# Beyond both ends of an arena stores are lost and loads give zero, also where they begin inside.
.license "GPL"
.map pages arena max_entries=1048576 flags=mmapable
.section "syscall"
.func start
    r1 = pages ll
    r2 = 0
    r3 = 2
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    r6 = r0
    r1 = 1
    r1 <<= 32
    *(u64 *)(r1 + 8) = 7
    *(u64 *)(r1 - 4) = -1
    r2 = 0
    *(u8 *)(r2 - 8) = 7
    r0 = *(u64 *)(r1 + 8)
    r3 = *(u64 *)(r1 - 4)
    r0 += r3
    r3 = *(u8 *)(r2 - 8)
    r0 += r3
    exit
