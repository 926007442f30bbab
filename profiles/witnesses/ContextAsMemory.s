# A number is given where a helper takes memory.
# with: rejected
# with message: R1 type=scalar expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_, ctx
# without: rejected
# without message: R1 type=scalar expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_
.license "GPL"
.section kprobe/do_exit
.func int witness(struct pt_regs *ctx)
    r1 = 5
    r2 = 8
    r3 = 0
    call bpf_probe_read_kernel
    r0 = 0
    exit
