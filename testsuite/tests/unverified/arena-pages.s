# More pages than maps may take memory for.
.license "GPL"
.map pages arena max_entries=1048576 flags=mmapable
.section "syscall"
.func start
    r1 = pages ll
    r2 = 0
    r3 = 1048576
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    exit
