# A probe looks up a value with a timer.
# with: accepted
# without: rejected
# without message: tracing progs cannot use bpf_timer yet
.license "GPL"
.struct timed {
    struct bpf_timer timer;
    u64 count;
}
.map numbers array key=u32 value=struct timed max_entries=1
.section kprobe/do_exit
.func int witness(struct pt_regs *ctx)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = numbers ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = r0
    call bpf_timer_cancel
out:
    r0 = 0
    exit
