# Nine global functions call each other.
# with: accepted
# without: rejected
# without message: the call stack of 8 frames is too deep !
# without message: the call stack of 16 frames is too deep !
.license "GPL"
.section tc
.func int witness(struct __sk_buff *ctx)
    r1 = 0
    call f1
    r0 = 0
    exit
.section .text
.func global int f1(int a)
    r1 = 0
    call f2
    r0 = 0
    exit
.func global int f2(int a)
    r1 = 0
    call f3
    r0 = 0
    exit
.func global int f3(int a)
    r1 = 0
    call f4
    r0 = 0
    exit
.func global int f4(int a)
    r1 = 0
    call f5
    r0 = 0
    exit
.func global int f5(int a)
    r1 = 0
    call f6
    r0 = 0
    exit
.func global int f6(int a)
    r1 = 0
    call f7
    r0 = 0
    exit
.func global int f7(int a)
    r1 = 0
    call f8
    r0 = 0
    exit
.func global int f8(int a)
    r1 = 0
    call f9
    r0 = 0
    exit
.func global int f9(int a)
    r1 = 0
    call f10
    r0 = 0
    exit
.func global int f10(int a)
    r1 = 0
    call f11
    r0 = 0
    exit
.func global int f11(int a)
    r1 = 0
    call f12
    r0 = 0
    exit
.func global int f12(int a)
    r1 = 0
    call f13
    r0 = 0
    exit
.func global int f13(int a)
    r1 = 0
    call f14
    r0 = 0
    exit
.func global int f14(int a)
    r1 = 0
    call f15
    r0 = 0
    exit
.func global int f15(int a)
    r1 = 0
    call f16
    r0 = 0
    exit
.func global int f16(int a)
    r0 = 0
    r0 = 0
    exit
