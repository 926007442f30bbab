# A program lets a socket bind to any port.
# with: accepted
# without: rejected
.license "GPL"
.section cgroup/bind4
.func int witness(struct bpf_sock_addr *ctx)
    r0 = 3
    exit
