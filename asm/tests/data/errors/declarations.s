.struct s { u32 a; u3 b; }
.struct s { u32 a; }
.var x = 5
.var u8 y = 256
.var u8 z[2] = {1, 2, 3}
.var char c[3] = "four"
.bss u8 b = 1
.data struct t later
.data u32 y
.license GPL
.license "MIT"
.license "GPL"
.kfunc int f
.func static empty
.section .data
    r1 = 0
.section xdp
.func one
    goto two_label
    exit
.func two
two_label:
    call one
    r1 = two ll
    exit
.section tc
.func three
    call two
    exit
