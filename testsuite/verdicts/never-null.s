// A pointer that cannot be NULL cannot be so at any offset; sockets of XDP are none of those pointers.
.license "GPL"
.map h array key=u32 value=u64 max_entries=4
.map x xskmap key=u32 value=u32 max_entries=4
.section tc
.func far_from_a_value
    *(u32 *)(r10 - 4) = 0
    r6 = r1
    r2 = r10
    r2 += -4
    r1 = h ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r6 = *(u32 *)(r6 + 0)
    r0 += r6
    if r0 == 0 goto never
out:
    r0 = 0
    exit
never:
    r0 = r5
    exit

.section xdp
.func xdp_socket
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = x ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    if r0 == 0 goto again
out:
    r0 = 0
    exit
again:
    r0 = r5
    exit
