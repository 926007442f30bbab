.map flows hash key=u32 value=u64 max_entries=16
.map bad hashh key=u32
.map worse hash ky=u32 value=u46 flags=no_preallok
.section xdp
prog:
    r1 = map[flow] ll
    r1 = flos ll
    call bpf_map_lokup_elem
    call bpf_no_such_thing_at_all
    r1 = swapp16 r1
    r0 = atomic_fetch_ad((u64 *)(r1 + 0), r0)
    goto exi
    goto 1f
exit_label:
exit_label:
    exit
.sectoin tc
