# A record of a ring buffer is not given back.
# with: rejected
# with message: Unreleased reference id=2 alloc_insn=3
# with message: Unreleased reference id=1 alloc_insn=3
# with message: Unreleased reference id=2 alloc_insn=4
# without: rejected
# without message: BPF_EXIT instruction in main prog would lead to reference leak
.license "GPL"
.map events ringbuf max_entries=4096
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = events ll
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
    r0 = 0
    exit
