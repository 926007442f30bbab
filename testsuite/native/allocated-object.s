// gives 5
// What a program stores in an object that it has allocated, it reads back. The struct is the object's type number 2.
.license "GPL"
.struct node {
    u64 key;
    u64 other;
}
.bss struct node unused
.kfunc void *bpf_obj_new_impl(u64 type_id, void *meta)
.kfunc void bpf_obj_drop_impl(void *object, void *meta)
.section "tc"
.func own
    r1 = 2
    r2 = 0
    call bpf_obj_new_impl
    if r0 == 0 goto out
    r1 = 5
    *(u64 *)(r0 + 0) = r1
    r6 = *(u64 *)(r0 + 0)
    r1 = r0
    r2 = 0
    call bpf_obj_drop_impl
    r0 = r6
    exit
out:
    r0 = 0
    exit
