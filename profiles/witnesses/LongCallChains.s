# Nine functions are inside each other.
# with: accepted
# without: rejected
# without message: the call stack of 9 frames is too deep
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    call f1
    r0 = 0
    exit
.func static int f1
    call f2
    exit
.func static int f2
    call f3
    exit
.func static int f3
    call f4
    exit
.func static int f4
    call f5
    exit
.func static int f5
    call f6
    exit
.func static int f6
    call f7
    exit
.func static int f7
    call f8
    exit
.func static int f8
    r0 = 0
    exit
