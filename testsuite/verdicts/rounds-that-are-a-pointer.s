// The number of rounds has to be known exactly, and is a pointer: the kernel takes that for a bug of its own.
.license "GPL"
.section raw_tp
.func main
    r2 = cb ll
    r3 = 0
    r4 = 0
    call bpf_loop
    exit
.section .text
.func static long cb(long index, void *ctx)
    r0 = 0
    exit
