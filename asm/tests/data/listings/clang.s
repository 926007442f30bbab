	.file	"s.c"
	.file	0 "." "s.c" md5 0xf45dcf43e22f05fe09c575e332baa6e6
	.section	tc,"ax",@progbits
	.globl	prog                            # -- Begin function prog
	.p2align	3
	.type	prog,@function
prog:                                   # @prog
.Lfunc_begin0:
	.cfi_sections .debug_frame
	.cfi_startproc
# %bb.0:
	#DEBUG_VALUE: prog:ctx <- $r1
	.loc	0 4 63 prologue_end             # s.c:4:63
.Ltmp0:
	w2 = *(u32 *)(r1 + 0)
	.loc	0 4 70 is_stmt 0                # s.c:4:70
.Ltmp1:
	if w2 s< 6 goto LBB0_2
.Ltmp2:
.Ltmp3:
# %bb.1:
	#DEBUG_VALUE: prog:ctx <- $r1
	.loc	0 4 88 is_stmt 1                # s.c:4:88
.Ltmp4:
	w1 = *(u32 *)(r1 + 4)
.Ltmp5:
.Ltmp6:
	.loc	0 4 82 is_stmt 0                # s.c:4:82
.Ltmp7:
	call twice
.Ltmp8:
	.loc	0 4 75 is_stmt 1                # s.c:4:75
.Ltmp9:
	goto LBB0_3
.Ltmp10:
.Ltmp11:
LBB0_2:
	#DEBUG_VALUE: prog:ctx <- $r1
	.loc	0 4 104                         # s.c:4:104
.Ltmp12:
	r2 = counter ll
	w3 = *(u32 *)(r2 + 0)
.Ltmp13:
	w3 += 1
.Ltmp14:
	*(u32 *)(r2 + 0) = w3
	.loc	0 4 121 is_stmt 0               # s.c:4:121
.Ltmp15:
	w1 = *(u32 *)(r1 + 8)
.Ltmp16:
.Ltmp17:
	.loc	0 4 128                         # s.c:4:128
.Ltmp18:
	w1 &= 3
	.loc	0 4 115                         # s.c:4:115
.Ltmp19:
	r1 <<= 2
	r2 = table ll
	r2 += r1
	.loc	0 4 115 is_stmt 1               # s.c:4:115
.Ltmp20:
	w0 = *(u32 *)(r2 + 0)
LBB0_3:
	.loc	0 4 134                         # s.c:4:134
.Ltmp21:
	exit
.Ltmp22:
.Ltmp23:
.Lfunc_end0:
	.size	prog, .Lfunc_end0-prog
	.cfi_endproc
                                        # -- End function
	.text
	.p2align	3                               # -- Begin function twice
	.type	twice,@function
twice:                                  # @twice
.Lfunc_begin1:
	.loc	0 1 0                           # s.c:1:0
	.cfi_startproc
# %bb.0:
	#DEBUG_VALUE: twice:x <- $w1
	w0 = w1
.Ltmp24:
.Ltmp25:
	#DEBUG_VALUE: twice:x <- $w0
	.loc	0 1 62 prologue_end             # s.c:1:62
.Ltmp26:
	w0 *= 3
.Ltmp27:
.Ltmp28:
	.loc	0 1 66 is_stmt 0                # s.c:1:66
.Ltmp29:
	w0 += 1
	.loc	0 1 53                          # s.c:1:53
.Ltmp30:
	exit
.Ltmp31:
.Ltmp32:
.Lfunc_end1:
	.size	twice, .Lfunc_end1-twice
	.cfi_endproc
                                        # -- End function
	.type	counter,@object                 # @counter
	.section	.bss,"aw",@nobits
	.globl	counter
	.p2align	2, 0x0
counter:
	.long	0                               # 0x0
	.size	counter, 4

	.type	table,@object                   # @table
	.section	.rodata.cst16,"aM",@progbits,16
	.p2align	2, 0x0
table:
	.long	1                               # 0x1
	.long	2                               # 0x2
	.long	3                               # 0x3
	.long	4                               # 0x4
	.size	table, 16

	.type	lic,@object                     # @lic
	.section	license,"aw",@progbits
	.globl	lic
lic:
	.asciz	"GPL"
	.size	lic, 4

	.section	.debug_abbrev,"",@progbits
	.byte	1                               # Abbreviation Code
	.uleb128 .Lfunc_end0-.Lfunc_begin0
	.section	.BTF,"",@progbits
	.short	60319                           # 0xeb9f
	.long	.Lnowhere-.Lelsewhere
	.addrsig
	.addrsig_sym prog
