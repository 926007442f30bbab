# A program waits for the end of a function that has none.
# with: rejected
# with message: Attaching fexit/fsession/fmod_ret to __noreturn function 'do_exit' is rejected.
# without: rejected
# without message: Attaching fexit/fmod_ret to __noreturn functions is rejected.
.license "GPL"
.section fexit/do_exit
.func int witness(u64 *ctx)
    r0 = 0
    exit
