.syntax mnemonic
movv r1, 5
mov r1
mov r1, r2, r3
ldxw r1, 5
ldxw r1, [5]
stw [r1+4], r2
stxw [r1+4], 5
jeq r1, 5
jeq r1, 5, nowhere
lock sub [r1], r2
mov w1, 5
mov32 w1, 5
call
