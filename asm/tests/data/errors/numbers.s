r1 = 0x1ffffffff
r1 = -2147483649
r1 = 99999999999999999999
r1 = 0x12345678123456789 ll
r1 = 0xfoo
r1 = *(u8 *)(r2 + 32768)
goto +40000
if r1 == 1 goto -32769
r1 = LIMIT
.equ LIMIT, 5
r1 = LIMT
.byte 256
exit
