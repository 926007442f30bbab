# A program makes its hook return what is neither zero nor an error.
# with: rejected
# with message: At bpf_set_retval the register R1 has smin=1 smax=1 should have been in [-4095, 0]
# without: accepted
.license "GPL"
.section cgroup/dev
.func int witness(struct bpf_cgroup_dev_ctx *ctx)
    r1 = 1
    call bpf_set_retval
    r0 = 1
    exit
