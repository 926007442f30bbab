# A program returns what it may not.
# with: rejected
# with message: At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]
# without: rejected
# without message: At program exit the register R0 has value (0x2; 0x0) should have been in (0x0; 0x1)
.license "GPL"
.section cgroup/dev
.func int witness(struct bpf_cgroup_dev_ctx *ctx)
    r0 = 2
    exit
