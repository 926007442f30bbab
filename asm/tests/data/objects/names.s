# Names that mean something elsewhere.
.map outer array_of_maps max_entries=1 inner=lock   // declared below
.map lock hash key=u32 value=u64 max_entries=1
.inner only_inside array value=u64 max_entries=2
.map second_outer hash_of_maps key=u32 max_entries=4 inner=only_inside
.data u32 exit = 1
.bss u64 call

.section xdp
.func global
    r1 = map[lock] ll
    r1 = lock ll
    r2 = exit ll
    r3 = call ll
    call static
    r1 = r10
    r1 += -8
    *(u64 *)(r10 - 8) = 0
    r2 = 1
    call by_itself
    exit
.func static int static(void)
    r0 = 0
    exit
.tag static "a tag"
.text
.func global long by_itself(u64 *p, u32 n)
.tag by_itself 0 "arg:nonnull"
    r0 = 0
    exit
