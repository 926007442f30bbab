//! One instruction as a mnemonic. The names come from the instruction table.

use super::pseudo_c::{hex, jump};
use crate::text::{ATOMICS, mnemonics};
use ebpfkit_isa::{AtomicOp, CallKind, ImmKind, Insn, Op, Operand, Size, encode, row};

/// `[r1+4]`
fn memory(base: u8, off: i16) -> String {
    if off == 0 { format!("[r{base}]") } else { format!("[r{base}{}]", jump(off.into())) }
}

fn operand(o: Operand) -> String {
    match o {
        Operand::Reg(n) => format!("r{n}"),
        Operand::Imm(n) => hex(n.into()),
    }
}

/// The name of the row that an instruction is of.
fn name(op: Op) -> Option<String> {
    let (first, _) = encode(op).ok()?;
    let row = row(first, 0).ok()?;
    mnemonics(row.kind, row.name).into_iter().next()
}

fn atomic(op: AtomicOp, fetch: bool, size: Size) -> String {
    let name = ATOMICS.iter().find(|a| a.1 == op && a.2 == fetch).map_or("", |a| a.0);
    format!("lock {name}{}", if size == Size::W { "32" } else { "" })
}

/// The instruction as a mnemonic with its operands, jumps as distances in slots.
///
/// Registers are written `r`, whatever their width; the mnemonic says how much of them counts.
pub fn mnemonic(op: Op) -> String {
    written(op, None)
}

/// The instruction with a name in the place of a jump's target, of what is called or of a 64-bit number.
pub(crate) fn written(op: Op, target: Option<&str>) -> String {
    let to = |n: i64| target.map_or_else(|| jump(n), str::to_owned);
    let operands = match op {
        Op::Alu { dst, src, .. } => format!("r{dst}, {}", operand(src)),
        Op::Movsx { dst, src, .. } => format!("r{dst}, r{src}"),
        Op::Neg { dst, .. } | Op::Endian { dst, .. } | Op::Bswap { dst, .. } => format!("r{dst}"),
        Op::AddrSpaceCast { dst, src, imm } => format!("r{dst}, r{src}, {}, {}", imm >> 16, imm & 0xffff),
        Op::LoadImm64 { dst, imm } => match (target, imm) {
            (Some(target), _) => format!("r{dst}, {target}"),
            (None, ImmKind::Value(v)) => format!("r{dst}, {}", hex(v as i64)),
            (None, _) => format!("r{dst}, {}", super::unnamed(op).unwrap_or_default()),
        },
        Op::LoadAbs { imm, .. } => hex(imm.into()),
        Op::LoadInd { src, imm, .. } => format!("r{src}, {}", hex(imm.into())),
        Op::Load { dst, src, off, .. } | Op::LoadAcquire { dst, src, off, .. } => {
            format!("r{dst}, {}", memory(src, off))
        }
        Op::Store { dst, src, off, .. } => format!("{}, {}", memory(dst, off), operand(src)),
        Op::StoreRelease { dst, src, off, .. } => format!("{}, r{src}", memory(dst, off)),
        Op::Atomic { op, fetch, size, dst, src, off } => {
            return format!("{} {}, r{src}", atomic(op, fetch, size), memory(dst, off));
        }
        Op::Ja { off, .. } => to(off.into()),
        Op::MayGoto { off } => to(off.into()),
        Op::Jmp { dst, src, off, .. } => format!("r{dst}, {}, {}", operand(src), to(off.into())),
        Op::GotoX { dst } => return format!("gotox r{dst}"),
        Op::Call(CallKind::Reg(n)) => return format!("callx r{n}"),
        Op::Call(CallKind::Helper(n)) => {
            return format!("call {}", target.map_or_else(|| hex(i64::from(n as i32)), str::to_owned));
        }
        Op::Call(_) => {
            let unnamed = || super::unnamed(op).unwrap_or_default();
            return format!("call {}", target.map_or_else(unnamed, str::to_owned));
        }
        Op::Exit => String::new(),
    };
    let name = name(op).unwrap_or_default();
    if operands.is_empty() { name } else { format!("{name} {operands}") }
}

/// A slot that is no instruction, as a directive.
pub(crate) fn raw(insn: Insn) -> String {
    format!(".8byte {:#018x}", u64::from_le_bytes(insn.to_bytes(ebpfkit_isa::Endian::Little)))
}
