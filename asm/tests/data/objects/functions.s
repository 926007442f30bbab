.license "GPL"
.kfunc struct task_struct *bpf_task_from_pid(s32 pid)
.kfunc void bpf_task_release(struct task_struct *p)
.ksym weak int nr_cpu_ids_like
.kconfig int CONFIG_HZ

.union word { u32 whole; u8 bytes[4]; }
.struct entry {
    struct bpf_spin_lock lock;
    union word w;
    u64 hits[2];
}
.map entries array value=struct entry max_entries=8
.data struct pair_of_words_is_not_needed *nothing
.rodata union word start = {0x01020304}
.struct record { union word w; u64 hits[2]; }
.data struct record first = {{5}, {1, 2}}
.rodata s16 table[2][3] = {{1, -1, 2}, {3, 4, 5}}

.section syscall
.func int main(void *ctx)
    r1 = 1
    call bpf_task_from_pid
    if r0 == 0 goto out
    r1 = r0
    call bpf_task_release
out:
    r1 = CONFIG_HZ ll
    r1 = *(u32 *)(r1 + 0)
    r2 = first + 4 ll
    r1 = *(u64 *)(r2 + 4)
    call twice
    r0 = 0
    exit

.func static long twice(long n)
    r0 = r1
    r0 += r1
    exit

.section syscall
.func second
    r1 = 2
    call twice
    r0 = 0
    exit
