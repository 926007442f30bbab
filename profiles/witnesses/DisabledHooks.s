# A program attaches to a hook that is not meant for programs.
# with: rejected
# without: accepted
.license "GPL"
.section lsm/getprocattr
.func int witness(u64 *ctx)
    r0 = 0
    exit
