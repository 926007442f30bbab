// Two loops of eight million iterations each, one in the other. The verifier takes it.
.section "xdp"
.func start
    r6 = 0
outer:
    may_goto out
    call inner
    goto outer
out:
    r0 = 0
    exit
.func static inner(struct xdp_md *ctx)
    r0 = 0
again:
    may_goto done
    goto again
done:
    exit
