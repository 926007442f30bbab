# A program may sleep where a file is opened.
# with: accepted
# without: rejected
# without message: bpf_lsm_file_open is not sleepable
.license "GPL"
.section lsm.s/file_open
.func int witness(void *ctx)
    r0 = 0
    exit
