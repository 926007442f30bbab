// gives 41
// Each of 34 programs adds one to what the tail call of its function gives: the last tail call fails, and its function gives 7.
.license "GPL"
.map programs prog_array max_entries=1 values=[start]
.section "tc"
.func start
    call again
    r0 += 1
    exit
.func static again(struct __sk_buff *ctx)
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r0 = 7
    exit
