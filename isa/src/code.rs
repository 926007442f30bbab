//! Between slots and [`Op`]: both directions read the table.

use crate::insn::Insn;
use crate::op::{CallKind, DecodeError, ImmKind, Op, Operand};
use crate::opcode::{X, class, pseudo};
use crate::table::{Field, Operation, ROWS, Row, is_one_half, rows_of};

/// The first field of `insn` that the row forbids.
fn complaint(row: &Row, insn: Insn, at: usize) -> Option<DecodeError> {
    let fields = [
        ("dst", row.dst, i32::from(insn.dst)),
        ("src", row.src, i32::from(insn.src)),
        ("off", row.off, i32::from(insn.off)),
        ("imm", row.imm, insn.imm),
    ];
    fields.into_iter().find_map(|(field, rule, value)| match rule {
        Field::Any => None,
        Field::Is(n) => (n != value).then_some(DecodeError::Reserved { at, code: insn.code, field }),
        Field::Reg => (value > i32::from(crate::R10)).then_some(DecodeError::BadRegister { at, reg: value as u8 }),
    })
}

/// The row that a slot is an instance of. The second slot of a 64-bit immediate is not looked at.
pub fn row(insn: Insn, at: usize) -> Result<&'static Row, DecodeError> {
    let mut first = None;
    for row in rows_of(insn.code) {
        match complaint(row, insn, at) {
            None => return Ok(row),
            Some(e) => first = first.or(Some(e)),
        }
    }
    Err(first.unwrap_or(DecodeError::UnknownOpcode { at, code: insn.code }))
}

/// Decodes the instruction at slot `at`; the second number is how many slots it takes (1 or 2).
///
/// Strict: reserved fields must be zero, registers must exist, a 64-bit immediate must be whole.
pub fn decode(insns: &[Insn], at: usize) -> Result<(Op, usize), DecodeError> {
    let Some(&i) = insns.get(at) else {
        return Err(DecodeError::OutOfRange { at });
    };
    let (dst, src, off) = (i.dst, i.src, i.off);
    // Bit 3 tells register from immediate in arithmetic and jumps; stores tell by class.
    let by_bit = if i.code & X != 0 { Operand::Reg(src) } else { Operand::Imm(i.imm) };
    let by_class = if i.class() == class::STX { Operand::Reg(src) } else { Operand::Imm(i.imm) };
    let op = match row(i, at)?.kind {
        Operation::Alu(op, width) => Op::Alu { op, width, dst, src: by_bit },
        Operation::Movsx(width, bits) => Op::Movsx { width, bits, dst, src },
        Operation::Neg(width) => Op::Neg { width, dst },
        Operation::Endian(big, bits) => Op::Endian { big, bits, dst },
        Operation::Bswap(bits) => Op::Bswap { bits, dst },
        Operation::AddrSpaceCast => Op::AddrSpaceCast { dst, src, imm: i.imm as u32 },
        Operation::LoadImm64(kind) => {
            let next = insns.get(at + 1).copied().ok_or(DecodeError::TruncatedImm64 { at })?;
            if (next.code, next.dst, next.src, next.off) != (0, 0, 0, 0) {
                return Err(DecodeError::TruncatedImm64 { at });
            }
            return Ok((Op::LoadImm64 { dst, imm: imm64(kind, i, next, at)? }, 2));
        }
        Operation::LoadAbs(size) => Op::LoadAbs { size, imm: i.imm },
        Operation::LoadInd(size) => Op::LoadInd { size, src, imm: i.imm },
        Operation::Load(size, signed) => Op::Load { size, signed, dst, src, off },
        Operation::Store(size) => Op::Store { size, dst, src: by_class, off },
        Operation::Atomic(op, fetch, size) => Op::Atomic { op, fetch, size, dst, src, off },
        Operation::LoadAcquire(size) => Op::LoadAcquire { size, dst, src, off },
        Operation::StoreRelease(size) => Op::StoreRelease { size, dst, src, off },
        Operation::Ja(false) => Op::Ja { off: off.into(), long: false },
        Operation::Ja(true) => Op::Ja { off: i.imm, long: true },
        Operation::Jmp(op, width) => Op::Jmp { op, width, dst, src: by_bit, off },
        Operation::GotoX => Op::GotoX { dst },
        Operation::MayGoto => Op::MayGoto { off },
        Operation::CallHelper => Op::Call(CallKind::Helper(i.imm as u32)),
        Operation::CallLocal => Op::Call(CallKind::Local(i.imm)),
        Operation::CallKfunc => Op::Call(CallKind::Kfunc { id: i.imm as u32, btf_index: off }),
        Operation::CallReg => Op::Call(CallKind::Reg(dst)),
        Operation::Exit => Op::Exit,
    };
    Ok((op, 1))
}

fn imm64(kind: u8, first: Insn, next: Insn, at: usize) -> Result<ImmKind, DecodeError> {
    let (low, high) = (first.imm as u32, next.imm as u32);
    let one_half = is_one_half(kind);
    if one_half && high != 0 {
        return Err(DecodeError::Reserved { at: at + 1, code: first.code, field: "imm" });
    }
    Ok(match kind {
        pseudo::MAP_FD => ImmKind::Map(low),
        pseudo::MAP_VALUE => ImmKind::MapValue { map: low, off: high },
        pseudo::BTF_ID => ImmKind::BtfVar { id: low, btf_fd: high },
        pseudo::FUNC => ImmKind::Func(first.imm),
        pseudo::MAP_IDX => ImmKind::MapIdx(low),
        pseudo::MAP_IDX_VALUE => ImmKind::MapIdxValue { index: low, off: high },
        _ => ImmKind::Value(first.imm64(next)),
    })
}

/// Why an [`Op`] has no encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// No row of the table does this (such as a 24-bit byte swap).
    #[error("no instruction does this: {0:?}")]
    NoSuchInstruction(Op),
    /// A distance that does not fit its field.
    #[error("jump distance {0} does not fit in 16 bits; use `gotol`")]
    JumpTooFar(i32),
    /// A register number above 10.
    #[error("register r{0} does not exist")]
    BadRegister(u8),
}

/// Encodes an instruction: its slot, and the second one of a 64-bit immediate.
pub fn encode(op: Op) -> Result<(Insn, Option<Insn>), EncodeError> {
    use Operand::{Imm, Reg};
    // What the op asks of a row: its kind, the operand's form where both exist, and the variable fields.
    let mut f = Insn::default();
    let mut second = None;
    let mut operand = None;
    let kind = match op {
        Op::Alu { op, width, dst, src } => {
            (f.dst, operand) = (dst, Some(src));
            Operation::Alu(op, width)
        }
        Op::Movsx { width, bits, dst, src } => {
            (f.dst, f.src) = (dst, src);
            Operation::Movsx(width, bits)
        }
        Op::Neg { width, dst } => {
            f.dst = dst;
            Operation::Neg(width)
        }
        Op::Endian { big, bits, dst } => {
            f.dst = dst;
            Operation::Endian(big, bits)
        }
        Op::Bswap { bits, dst } => {
            f.dst = dst;
            Operation::Bswap(bits)
        }
        Op::AddrSpaceCast { dst, src, imm } => {
            (f.dst, f.src, f.imm) = (dst, src, imm as i32);
            Operation::AddrSpaceCast
        }
        Op::LoadImm64 { dst, imm } => {
            let (kind, low, high) = match imm {
                ImmKind::Value(v) => (0, v as u32, (v >> 32) as u32),
                ImmKind::Map(m) => (pseudo::MAP_FD, m, 0),
                ImmKind::MapValue { map, off } => (pseudo::MAP_VALUE, map, off),
                ImmKind::BtfVar { id, btf_fd } => (pseudo::BTF_ID, id, btf_fd),
                ImmKind::Func(d) => (pseudo::FUNC, d as u32, 0),
                ImmKind::MapIdx(m) => (pseudo::MAP_IDX, m, 0),
                ImmKind::MapIdxValue { index, off } => (pseudo::MAP_IDX_VALUE, index, off),
            };
            (f.dst, f.imm) = (dst, low as i32);
            second = Some(Insn::new(0, 0, 0, 0, high as i32));
            Operation::LoadImm64(kind)
        }
        Op::LoadAbs { size, imm } => {
            f.imm = imm;
            Operation::LoadAbs(size)
        }
        Op::LoadInd { size, src, imm } => {
            (f.src, f.imm) = (src, imm);
            Operation::LoadInd(size)
        }
        Op::Load { size, signed, dst, src, off } => {
            (f.dst, f.src, f.off) = (dst, src, off);
            Operation::Load(size, signed)
        }
        Op::Store { size, dst, src, off } => {
            (f.dst, f.off, operand) = (dst, off, Some(src));
            Operation::Store(size)
        }
        Op::Atomic { op, fetch, size, dst, src, off } => {
            (f.dst, f.src, f.off) = (dst, src, off);
            Operation::Atomic(op, fetch, size)
        }
        Op::LoadAcquire { size, dst, src, off } => {
            (f.dst, f.src, f.off) = (dst, src, off);
            Operation::LoadAcquire(size)
        }
        Op::StoreRelease { size, dst, src, off } => {
            (f.dst, f.src, f.off) = (dst, src, off);
            Operation::StoreRelease(size)
        }
        Op::Ja { off, long: true } => {
            f.imm = off;
            Operation::Ja(true)
        }
        Op::Ja { off, long: false } => {
            f.off = i16::try_from(off).map_err(|_| EncodeError::JumpTooFar(off))?;
            Operation::Ja(false)
        }
        Op::Jmp { op, width, dst, src, off } => {
            (f.dst, f.off, operand) = (dst, off, Some(src));
            Operation::Jmp(op, width)
        }
        Op::GotoX { dst } => {
            f.dst = dst;
            Operation::GotoX
        }
        Op::MayGoto { off } => {
            f.off = off;
            Operation::MayGoto
        }
        Op::Call(CallKind::Helper(id)) => {
            f.imm = id as i32;
            Operation::CallHelper
        }
        Op::Call(CallKind::Local(d)) => {
            f.imm = d;
            Operation::CallLocal
        }
        Op::Call(CallKind::Kfunc { id, btf_index }) => {
            (f.imm, f.off) = (id as i32, btf_index);
            Operation::CallKfunc
        }
        Op::Call(CallKind::Reg(r)) => {
            f.dst = r;
            Operation::CallReg
        }
        Op::Exit => Operation::Exit,
    };
    match operand {
        Some(Reg(r)) => f.src = r,
        Some(Imm(n)) => f.imm = n,
        None => {}
    }
    for reg in [f.dst, f.src] {
        if reg > crate::R10 {
            return Err(EncodeError::BadRegister(reg));
        }
    }
    let fits = |r: &&Row| {
        r.kind == kind
            && match operand {
                Some(Reg(_)) => r.src == Field::Reg,
                Some(Imm(_)) => r.imm == Field::Any,
                None => kind != Operation::AddrSpaceCast || r.imm == Field::Is(f.imm),
            }
    };
    let row = ROWS.iter().find(fits).ok_or(EncodeError::NoSuchInstruction(op))?;
    Ok((row.instance(f), second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_survives_a_round_trip(
            n in 0..ROWS.len(), dst in 0..=10u8, src in 0..=10u8, off: i16, imm: i32, high: i32
        ) {
            let slots = ROWS[n].slots(Insn::new(0, dst, src, off, imm), high);
            let (op, len) = decode(&slots, 0).unwrap();
            let (a, b) = encode(op).unwrap();
            prop_assert_eq!(a, slots[0]);
            prop_assert_eq!(b, (len == 2).then_some(slots[1]));
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same(code: u8, dst in 0..16u8, src in 0..16u8, off: i16, imm in -2..300i32) {
            let slots = [Insn::new(code, dst, src, off, imm), Insn::default()];
            if let Ok((op, _)) = decode(&slots, 0) {
                prop_assert_eq!(encode(op).unwrap().0, slots[0]);
            }
        }
    }

    #[test]
    fn reserved_fields_are_refused() {
        let bad = |i: Insn| decode(&[i, Insn::default()], 0).unwrap_err();
        assert_eq!(bad(Insn::new(0x95, 0, 0, 0, 1)), DecodeError::Reserved { at: 0, code: 0x95, field: "imm" });
        assert_eq!(bad(Insn::new(0xb7, 0, 1, 0, 1)), DecodeError::Reserved { at: 0, code: 0xb7, field: "src" });
        assert_eq!(bad(Insn::new(0xbf, 11, 1, 0, 0)), DecodeError::BadRegister { at: 0, reg: 11 });
        assert_eq!(bad(Insn::new(0xff, 0, 0, 0, 0)), DecodeError::UnknownOpcode { at: 0, code: 0xff });
        assert!(decode(&[Insn::new(0x18, 0, 0, 0, 0)], 0).is_err());
        assert!(decode(&[], 0).is_err());
    }
}
