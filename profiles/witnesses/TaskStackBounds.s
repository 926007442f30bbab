# What is read of a task's stack is passed on with its size.
# with: accepted
# without: rejected
.license "GPL"
.map events ringbuf max_entries=4096
.section tp_btf/sched_switch
.func int witness(u64 *ctx)
    r6 = *(u64 *)(r1 + 8)
    r1 = r6
    r2 = r10
    r2 += -64
    r3 = 64
    r4 = 0
    call bpf_get_task_stack
    if r0 s< 0 goto out
    r1 = events ll
    r2 = r10
    r2 += -64
    r3 = r0
    r4 = 0
    call bpf_ringbuf_output
out:
    r0 = 0
    exit
