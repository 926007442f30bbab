# The text is short, its buffer is said to be long and to be filled up with zeros.
.license "GPL"
.section "kprobe/x"
.func start
    *(u64 *)(r10 - 32) = 0x61
    r1 = r10
    r1 += -16
    r2 = 0xfffffff0 ll
    r3 = r10
    r3 += -32
    r4 = 1
    call bpf_copy_from_user_str
    exit
