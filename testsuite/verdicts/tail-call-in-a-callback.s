// A tail call ends its callback with a result that is unknown, and that has to be known exactly where callbacks return.
.license "GPL"
.map j prog_array key_size=4 value_size=4 max_entries=2
.section tc
.func int main(struct __sk_buff *ctx)
    r6 = r1
    *(u64 *)(r10 - 8) = r6
    r1 = 1
    r2 = cb ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r0 = 0
    exit
.section .text
.func static int cb(long index, void *ctx)
    r1 = *(u64 *)(r2 + 0)
    r2 = j ll
    r3 = 0
    call bpf_tail_call
    r0 = 0
    exit
