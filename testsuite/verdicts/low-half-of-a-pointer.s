// Of a pointer that is not null the low half counts as not zero.
.map numbers array key_size=4 value_size=48 max_entries=4
    r7 = 0x6ef0b722
    r2 = r10
    r2 += -0x18
    r1 = map[numbers] ll
    call bpf_map_lookup_elem
    r7 ^= r7
    if r0 == 0x0 goto l78
    r8 = r0
    r5 = r8
    if w5 == w7 goto l63
l63:
l78:
    exit
