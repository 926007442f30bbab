// A `may_goto` to the next instruction, as compilers leave behind when they empty a loop.
.section socket
.func nowhere
    may_goto +0
    r0 = 0
    exit
