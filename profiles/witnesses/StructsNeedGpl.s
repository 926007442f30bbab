# A program without a license reads the kernel's structs.
# with: rejected
# with message: Cannot access kernel 'struct task_struct' from non-GPL compatible program
# without: accepted
.section tp_btf/sched_switch
.func int witness(u64 *ctx)
    r1 = *(u64 *)(r1 + 8)
    r0 = *(u32 *)(r1 + 0)
    r0 = 0
    exit
