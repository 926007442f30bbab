# A classifier takes a socket out of a map.
# with: rejected
# with message: cannot pass map_type 15 into func bpf_map_delete_elem#3
# without: accepted
.license "GPL"
.map sockets sockmap key=u32 value=u32 max_entries=1
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = sockets ll
    call bpf_map_delete_elem
    r0 = 0
    exit
