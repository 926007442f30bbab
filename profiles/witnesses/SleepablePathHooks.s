# A program may sleep where a directory is made.
# with: accepted
# without: rejected
# without message: bpf_lsm_path_mkdir is not sleepable
.license "GPL"
.section lsm.s/path_mkdir
.func int witness(void *ctx)
    r0 = 0
    exit
