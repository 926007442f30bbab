.equ LIMIT, 16
.equ MASK, LIMIT - 1
    r0 = 0
    r1 = LIMIT * 2 + 1
again:
    r0 += 1; r1 -= 1        // semicolons separate
    if r0 & MASK goto again /* and comments
    may be long */
1:  r2 = 'A'
    if r2 == '\n' goto 1f
    if r1 > 0 goto 1b
1:  call local_function
    r3 = local_function ll
    exit
local_function:
    r0 = 1
    if r0 == 1 goto end     # the one of this function
end:
    exit
