# What llvm-objdump writes may be pasted, bytes and symbols included.
       0:	b7 01 00 00 00 00 00 00	r1 = 0x0
       1:	18 02 00 00 05 00 00 00 00 00 00 00 01 00 00 00	r2 = 0x100000005 ll
       3:	15 00 02 00 00 00 00 00	if r0 == 0x0 goto +0x2 <firewall+0x58>
; if (r0 < 5)
       4:	a5 00 01 00 05 00 00 00	if r0 < 0x5 goto +0x1 <LBB0_2>
       5:	05 00 fd ff 00 00 00 00	goto -0x3 <firewall+0x18>
       6:	95 00 00 00 00 00 00 00	exit
