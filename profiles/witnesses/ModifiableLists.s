# A program replaces the result of a function of the kernel's own tests.
# with: accepted
# without: rejected
# without message: bpf_modify_return_test() is not modifiable
.license "GPL"
.section fmod_ret/bpf_modify_return_test
.func int witness(u64 *ctx)
    r0 = 0
    exit
