# A program that sleeps traces a system call.
# with: accepted
# without: rejected
# without message: __x64_sys_getpgid is not sleepable
.license "GPL"
.section fentry.s/__x64_sys_getpgid
.func int witness(u64 *ctx)
    r0 = 0
    exit
