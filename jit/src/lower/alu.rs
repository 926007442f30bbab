//! Arithmetic, as RFC 9669 defines it.

use super::{Translator, int};
use crate::opt::range::Range;
use crate::source::Source;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value};
use ebpfkit_isa::{AluOp, Operand, Width};
use ebpfkit_vm::maps::Kind;

impl Translator<'_, '_> {
    /// An operand in its width; immediates are sign-extended.
    pub(crate) fn operand(&mut self, width: Width, src: Operand) -> Value {
        match (src, width) {
            (Operand::Reg(r), _) => self.get_width(width, r),
            (Operand::Imm(n), Width::W64) => self.number(n.into()),
            (Operand::Imm(n), Width::W32) => self.b.ins().iconst(I32, i64::from(n as u32)),
        }
    }

    pub(crate) fn alu(&mut self, op: AluOp, width: Width, dst: u8, src: Operand) {
        let range = self.range_after(op, width, dst, src);
        let combined = self.combine_loads(op, width, dst, src);
        match combined {
            Some((_, Some(value))) => self.set(dst, value),
            _ => self.arithmetic(op, width, dst, src),
        }
        self.block.known.set_piece(dst, combined.map(|(piece, _)| piece));
        self.block.known.set_range(dst, range);
    }

    fn arithmetic(&mut self, op: AluOp, width: Width, dst: u8, src: Operand) {
        let b = self.operand(width, src);
        match (op, src, width) {
            (AluOp::Mov, Operand::Reg(r), Width::W64) => return self.copy(dst, r),
            (AluOp::Mov, ..) => return self.set_extended(dst, b),
            _ => {}
        }
        let a = self.get_width(width, dst);
        if matches!(op, AluOp::Add | AluOp::Sub) {
            return self.add(op, width, dst, src, a, b);
        }
        let result = match op {
            AluOp::Mul => match src {
                // One sum, with its shift, on the machines that there are.
                Operand::Imm(n @ (3 | 5 | 9)) => {
                    let more = self.b.ins().ishl_imm_u(a, i64::from((n - 1).ilog2()));
                    self.b.ins().iadd(a, more)
                }
                _ => self.b.ins().imul(a, b),
            },
            AluOp::Or => self.b.ins().bor(a, b),
            AluOp::And => self.b.ins().band(a, b),
            AluOp::Xor => self.b.ins().bxor(a, b),
            // Cranelift takes the amount modulo the width, too.
            AluOp::Lsh => self.b.ins().ishl(a, b),
            AluOp::Rsh => self.b.ins().ushr(a, b),
            AluOp::Arsh => self.b.ins().sshr(a, b),
            AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod => {
                let (a, b) = self.halves(op, width, dst, src).unwrap_or((a, b));
                match src {
                    Operand::Imm(n) => self.divide_by_number(op, a, b, n),
                    Operand::Reg(_) if self.divides(width, src) && matches!(op, AluOp::Div | AluOp::Mod) => {
                        self.plain_division(op, a, b)
                    }
                    Operand::Reg(_) => self.divide(op, a, b),
                }
            }
            AluOp::Mov | AluOp::Add | AluOp::Sub => b,
        };
        self.set_extended(dst, result);
    }

    /// The instruction itself, where the divisor is neither zero nor, for signed operations, minus one.
    fn plain_division(&mut self, op: AluOp, a: Value, b: Value) -> Value {
        match op {
            AluOp::Div => self.b.ins().udiv(a, b),
            AluOp::Mod => self.b.ins().urem(a, b),
            AluOp::Sdiv => self.b.ins().sdiv(a, b),
            _ => self.b.ins().srem(a, b),
        }
    }

    fn zero_like(&mut self, a: Value) -> Value {
        let ty = self.b.func.dfg.value_type(a);
        self.b.ins().iconst(ty, 0)
    }

    /// What division by zero gives: zero, or the dividend as the remainder.
    fn by_zero(&mut self, op: AluOp, a: Value) -> Value {
        if matches!(op, AluOp::Mod | AluOp::Smod) { a } else { self.zero_like(a) }
    }

    /// What signed division by minus one gives; the smallest number is its own negative.
    fn by_minus_one(&mut self, op: AluOp, a: Value) -> Value {
        if op == AluOp::Smod { self.zero_like(a) } else { self.b.ins().ineg(a) }
    }

    fn divide_by_number(&mut self, op: AluOp, a: Value, b: Value, n: i32) -> Value {
        match n {
            0 => self.by_zero(op, a),
            -1 if matches!(op, AluOp::Sdiv | AluOp::Smod) => self.by_minus_one(op, a),
            // Cranelift turns these into multiplications.
            _ => self.plain_division(op, a, b),
        }
    }

    fn divide(&mut self, op: AluOp, a: Value, b: Value) -> Value {
        let ty = self.b.func.dfg.value_type(a);
        let (divide, done) = (self.b.create_block(), self.b.create_block());
        self.b.append_block_param(done, ty);
        let zero = self.by_zero(op, a);
        if matches!(op, AluOp::Sdiv | AluOp::Smod) {
            let (not_zero, negate) = (self.b.create_block(), self.cold_block());
            self.b.ins().brif(b, not_zero, &[], done, &[BlockArg::Value(zero)]);
            self.begin(not_zero);
            let minus_one = self.b.ins().icmp_imm_s(IntCC::Equal, b, -1);
            self.b.ins().brif(minus_one, negate, &[], divide, &[]);
            self.begin(negate);
            let negative = self.by_minus_one(op, a);
            self.b.ins().jump(done, &[BlockArg::Value(negative)]);
        } else {
            self.b.ins().brif(b, divide, &[], done, &[BlockArg::Value(zero)]);
        }
        self.begin(divide);
        let result = self.plain_division(op, a, b);
        self.b.ins().jump(done, &[BlockArg::Value(result)]);
        self.begin(done);
        self.b.block_params(done)[0]
    }

    pub(crate) fn movsx(&mut self, width: Width, bits: u8, dst: u8, src: u8) {
        let wide = self.get(src);
        let narrow = self.b.ins().ireduce(int(bits.into()), wide);
        let to = if width == Width::W64 { I64 } else { I32 };
        let extended = self.b.ins().sextend(to, narrow);
        self.set_extended(dst, extended);
    }

    pub(crate) fn neg(&mut self, width: Width, dst: u8) {
        let a = self.get_width(width, dst);
        let result = self.b.ins().ineg(a);
        self.set_extended(dst, result);
    }

    /// Takes the low bits, swapped or not.
    pub(crate) fn endian(&mut self, swap: bool, bits: u8, dst: u8) {
        let wide = self.get(dst);
        let narrow = if bits == 64 { wide } else { self.b.ins().ireduce(int(bits.into()), wide) };
        let result = if swap { self.b.ins().bswap(narrow) } else { narrow };
        self.set_extended(dst, result);
        self.block.known.set_range(dst, Range::below(bits));
    }

    /// Between the two views of an arena: a program holds 32-bit addresses, whose upper half only user space needs.
    pub(crate) fn addr_space_cast(&mut self, dst: u8, src: u8, to_kernel: bool) {
        let low = self.get32(src);
        let address = self.b.ins().uextend(I64, low);
        if to_kernel {
            return self.set(dst, address);
        }
        // Null stays null.
        let zero = self.number(0);
        let upper = self.number((user_start(&self.env.program) & !u64::from(u32::MAX)) as i64);
        let whole = self.b.ins().bor(address, upper);
        let address = self.b.ins().select(low, whole, zero);
        self.set(dst, address);
    }
}

/// Address of a program's arena for user space.
fn user_start(program: &Source<'_>) -> u64 {
    match program.arena().map(|m| m.kind()) {
        Some(Kind::Arena(arena)) => arena.user_start(),
        _ => 0,
    }
}
