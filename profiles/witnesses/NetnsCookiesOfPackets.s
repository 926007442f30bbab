# A program at traffic control asks for the packet's network namespace.
# with: accepted
# without: rejected
# without message: unknown func bpf_get_netns_cookie#122
# without message: program of this type cannot use helper bpf_get_netns_cookie#122
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call bpf_get_netns_cookie
    r0 = 0
    exit
