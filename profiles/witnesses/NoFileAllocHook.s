# A program attaches where the kernel makes its own objects for files.
# with: rejected
# without: accepted
.license "GPL"
.section lsm/file_alloc_security
.func int witness(u64 *ctx)
    r0 = 0
    exit
