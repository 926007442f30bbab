# A program that sleeps has a map of programs.
# with: accepted
# without: rejected
# without message: Sleepable programs can only use array, hash, ringbuf and local storage maps
.license "GPL"
.map programs prog_array max_entries=1
.section syscall
.func int witness(void *ctx)
    r2 = programs ll
    r3 = 0
    call bpf_tail_call
    r0 = 0
    exit
