# A static function is called while a lock is held.
# with: accepted
# without: rejected
# without message: function calls are not allowed while holding a lock
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
    r6 = r0
    r1 = r6
    call bpf_spin_lock
    call other
    r1 = r6
    call bpf_spin_unlock
out:
    r0 = 0
    exit
.func static other
    r0 = 0
    exit
