// A pointer that equals one that cannot be NULL is none either, whatever the other is: the kernel does not ask what is known
// of that one beside its kind.
.license "GPL"
.map h array key=u32 value=u64 max_entries=4
.map m hash key=u32 value=u64 max_entries=4
.map x xskmap key=u32 value=u32 max_entries=4
.section xdp
.func equals_a_socket
    r1 = 0
    *(u32 *)(r10 - 8) = r1
    r9 = r10
    r9 += -8
    r8 = x ll
    r1 = r8
    r2 = r9
    call bpf_map_lookup_elem
    r6 = r0
    r1 = r8
    r2 = r9
    call bpf_map_lookup_elem
    r7 = r0
    if r6 == 0 goto out
    if r6 != r7 goto out
    r0 = *(u32 *)(r7 + 0)
out:
    r0 = 0
    exit

.func equals_the_frame
    *(u32 *)(r10 - 8) = 0
    r2 = r10
    r2 += -8
    r1 = m ll
    call bpf_map_lookup_elem
    r7 = r0
    if r7 == r10 goto same
    r0 = 0
    exit
same:
    r0 = *(u64 *)(r7 + 0)
    exit

.func equals_the_context
    r6 = r1
    *(u32 *)(r10 - 8) = 0
    r2 = r10
    r2 += -8
    r1 = m ll
    call bpf_map_lookup_elem
    r7 = r0
    if r6 != r7 goto out
    r0 = *(u64 *)(r7 + 0)
out:
    r0 = 0
    exit

.func far_from_a_value
    r6 = *(u32 *)(r1 + 12)
    *(u32 *)(r10 - 8) = 0
    r2 = r10
    r2 += -8
    r1 = m ll
    call bpf_map_lookup_elem
    r7 = r0
    r2 = r10
    r2 += -8
    r1 = m ll
    call bpf_map_lookup_elem
    if r7 == 0 goto out
    r7 += r6
    if r0 != r7 goto out
    r0 = *(u64 *)(r0 + 0)
out:
    r0 = 0
    exit
