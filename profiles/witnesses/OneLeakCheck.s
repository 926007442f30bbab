# A lock is held where the program ends.
# with: rejected
# with message: BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region
# without: rejected
# without message: bpf_spin_unlock is missing
.license "GPL"
.struct locked {
    struct bpf_spin_lock lock;
    u32 count;
}
.map values array key=u32 value=struct locked max_entries=1
.section tc
.func int witness(struct __sk_buff *ctx)
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = values ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = r0
    call bpf_spin_lock
out:
    r0 = 0
    exit
