// A function without stack of its own adds nothing to its callers'.
    call generated_func_87
    *(u64 *)(r10 - 0x58) = 0x3b5af11e
    exit
.func static generated_func_87
    call generated_func_92
    exit
.func static generated_func_92
    r3 = *(s8 *)(r10 - 0x195)
    r8 = 0x0
    r0 = r8
    exit
