// gives 4660
// A page of an arena: stores and loads of all widths, an addition in memory, and an address that goes there and back.
.license "GPL"
.kfunc void *bpf_arena_alloc_pages(void *map, void *addr, u32 page_cnt, int node_id, u64 flags)
.map space arena max_entries=2 flags=mmapable
.section "syscall"
.func start
    r1 = space ll
    r2 = 0
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    r6 = addr_space_cast(r0, 0, 1)
    w1 = 0x1000
    *(u64 *)(r6 + 8) = r1
    *(u8 *)(r6 + 16) = 0x34
    r2 = 0x200
    lock *(u64 *)(r6 + 8) += r2
    r7 = addr_space_cast(r6, 1, 0)
    r8 = addr_space_cast(r7, 0, 1)
    r0 = *(u64 *)(r8 + 8)
    r1 = *(u8 *)(r8 + 16)
    r0 += r1
    exit
