	.text
	.file	"x.c"
	.section	xdp,"ax",@progbits
	.globl	prog                            # -- Begin function prog
	.p2align	3
	.type	prog,@function
prog:                                   # @prog
# %bb.0:
	r1 = value ll
	r0 = *(u32 *)(r1 + 0)
	if w0 == 0 goto LBB0_2
	r0 = 2
LBB0_2:
	exit
.Lfunc_end0:
	.size	prog, .Lfunc_end0-prog
                                        # -- End function
	.type	value,@object                   # @value
	.section	.data,"aw",@progbits
	.globl	value
	.p2align	2, 0x0
value:
	.long	7                               # 0x7
	.size	value, 4

	.type	_license,@object                # @_license
	.section	license,"aw",@progbits
	.globl	_license
_license:
	.asciz	"GPL"
	.size	_license, 4
	.addrsig
	.addrsig_sym prog
