//! Code that mends put in: short sequences of instructions.

use super::patch::New;
use ebpfkit_isa::opcode::X;
use ebpfkit_isa::opcode::{self, alu, class, jmp, mode, size};
use ebpfkit_isa::{Insn, RegSet};

const fn alu64(op: u8, dst: u8, imm: i32) -> Insn {
    Insn::new(class::ALU64 | op, dst, 0, 0, imm)
}

/// `dst = src`
pub(crate) const fn mov(dst: u8, src: u8) -> Insn {
    Insn::new(class::ALU64 | alu::MOV | X, dst, src, 0, 0)
}

/// `dst = imm`
pub(crate) const fn set(dst: u8, imm: i32) -> Insn {
    alu64(alu::MOV, dst, imm)
}

/// `dst += imm`
pub(crate) const fn add(dst: u8, imm: i32) -> Insn {
    alu64(alu::ADD, dst, imm)
}

/// `call id`
pub(crate) const fn helper(id: u32) -> Insn {
    Insn::new(opcode::CALL, 0, 0, 0, id as i32)
}

/// `*(u64 *)(base + off) = src`
pub(crate) const fn store(base: u8, off: i16, src: u8) -> Insn {
    Insn::new(class::STX | size::DW | mode::MEM, base, src, off, 0)
}

/// `*(u64 *)(base + off) = imm`
pub(crate) const fn store_imm(base: u8, off: i16, imm: i32) -> Insn {
    Insn::new(class::ST | size::DW | mode::MEM, base, 0, off, imm)
}

/// `dst = *(u64 *)(base + off)`
pub(crate) const fn load(dst: u8, base: u8, off: i16) -> Insn {
    Insn::new(class::LDX | size::DW | mode::MEM, dst, base, off, 0)
}

/// `dst = *(u32 *)(base + off)`
pub(crate) const fn load32(dst: u8, base: u8, off: i16) -> Insn {
    Insn::new(class::LDX | size::W | mode::MEM, dst, base, off, 0)
}

/// A load of a field of the context, with its own width.
pub(crate) const fn load_field(dst: u8, ctx: u8, field: &ebpfkit_abi::ctx::Field) -> Insn {
    let off = field.offset as i16;
    if field.size == 8 { load(dst, ctx, off) } else { load32(dst, ctx, off) }
}

/// `if dst OP imm goto +off`
pub(crate) const fn jump_imm(op: u8, dst: u8, imm: i32, off: i16) -> Insn {
    Insn::new(class::JMP | op, dst, 0, off, imm)
}

/// `if dst OP src goto +off`
pub(crate) const fn jump_reg(op: u8, dst: u8, src: u8, off: i16) -> Insn {
    Insn::new(class::JMP | op | X, dst, src, off, 0)
}

/// Returns a value, after what has to come before that.
pub(crate) fn leave(value: i32, first: &[Insn]) -> Vec<Insn> {
    let mut code = first.to_vec();
    code.extend([set(0, value), Insn::new(opcode::EXIT, 0, 0, 0, 0)]);
    code
}

/// Goes on where `stay` (a jump whose distance is filled in) is taken, and runs `otherwise` where it is not.
pub(crate) fn unless(stay: Insn, otherwise: &[Insn]) -> Vec<Insn> {
    let mut code = vec![Insn { off: otherwise.len() as i16, ..stay }];
    code.extend_from_slice(otherwise);
    code
}

/// Compares as unsigned numbers: on where the register is at most `most`.
pub(crate) fn at_most(reg: u8, most: i32, otherwise: &[Insn]) -> Vec<Insn> {
    unless(jump_imm(jmp::JLE, reg, most, 0), otherwise)
}

/// As code that is put in.
pub(crate) fn new(code: Vec<Insn>) -> Vec<New> {
    code.into_iter().map(New::from).collect()
}

/// Keeps registers on the stack around a call: what comes before it and what comes after it. Slots lie below `used`
/// bytes of stack.
pub(crate) fn around(keep: RegSet, used: usize) -> Option<(Vec<Insn>, Vec<Insn>)> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut off = slot_below(used)?;
    for reg in keep.intersection(RegSet::CALLER_SAVED).iter() {
        before.push(store(10, off, reg));
        after.push(load(reg, 10, off));
        off = off.checked_sub(8).filter(|o| *o >= -512)?;
    }
    Some((before, after))
}

/// The first free slot below what is used of the stack.
pub(crate) fn slot_below(used: usize) -> Option<i16> {
    let off = -(used.div_ceil(8) as i64 * 8 + 8);
    (off >= -512).then_some(off as i16)
}
