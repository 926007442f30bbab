# A global function that may throw is called while a program holds a record.
# with: rejected
# with message: bpf_throw would lead to reference leak
# with message: Unreleased reference id=2 alloc_insn=4
# without: accepted
.license "GPL"
.map events ringbuf max_entries=4096
.kfunc void bpf_throw(u64 cookie)
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = events ll
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    r6 = r0
    r1 = 0
    call may_throw
    r1 = r6
    r2 = 0
    call bpf_ringbuf_discard
out:
    r0 = 0
    exit
.section .text
.func global int may_throw(int a)
    if r1 == 0 goto out
    r1 = 0
    call bpf_throw
out:
    r0 = 0
    exit
