# A program at a security hook returns what is neither zero nor an error.
# with: rejected
# with message: At program exit the register R0 has smin=5 smax=5 should have been in [-4095, 0]
# without: accepted
.license "GPL"
.section lsm/file_open
.func int witness(u64 *ctx)
    r0 = 5
    exit
