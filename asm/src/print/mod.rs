//! From instructions to text.

mod ctype;
mod data;
mod listing;
mod mnemonic;
mod names;
mod pseudo_c;

pub use listing::{FunctionText, Style, functions, listing};
pub use mnemonic::mnemonic;
pub use pseudo_c::pseudo_c;

use crate::Syntax;
use ebpfkit_isa::{CallKind, DecodeError, Endian, ImmKind, Insn, Op, decode};
use pseudo_c::jump;

/// What an instruction refers to, written so that it is read back as the same where no name is known. `None` where
/// plain words already do.
pub(crate) fn unnamed(op: Op) -> Option<String> {
    Some(match op {
        Op::Call(CallKind::Local(n)) => format!("pc{}", jump(n.into())),
        // A negative number would be read as a distance, as llvm-objdump writes it.
        Op::Call(CallKind::Helper(n)) if (n as i32) < 0 => format!("helper {n}"),
        Op::Call(CallKind::Kfunc { id, btf_index: 0 }) => format!("kfunc {id}"),
        Op::Call(CallKind::Kfunc { id, btf_index }) => format!("kfunc {id}, {btf_index}"),
        Op::LoadImm64 { imm, .. } => match imm {
            ImmKind::Value(_) => return None,
            ImmKind::Map(n) => format!("map[fd:{n}]"),
            ImmKind::MapValue { map, off } => format!("map[fd:{map}][0] + {off:#x}"),
            ImmKind::MapIdx(n) => format!("map[idx:{n}]"),
            ImmKind::MapIdxValue { index, off } => format!("map[idx:{index}][0] + {off:#x}"),
            ImmKind::Func(d) => format!("func[{}]", jump(d.into())),
            ImmKind::BtfVar { id, btf_fd: 0 } => format!("btf[{id}]"),
            ImmKind::BtfVar { id, btf_fd } => format!("btf[{id}, {btf_fd}]"),
        },
        _ => return None,
    })
}

/// An instruction with what it refers to, or a slot that is none as a directive.
pub(crate) fn line(op: Op, syntax: Syntax, name: Option<&str>) -> String {
    let plain = if name.is_none() { unnamed(op) } else { None };
    let name = name.or(plain.as_deref());
    match (syntax, op) {
        (Syntax::Mnemonic, _) => mnemonic::written(op, name),
        (_, Op::LoadInd { size, src, imm }) if imm != 0 => pseudo_c::packet(size, src, imm),
        _ => pseudo_c::written(op, name),
    }
}

/// The bytes of instructions as hexadecimal text with blanks between them, in the order of an object for a little-endian
/// machine.
pub fn bytes(slots: &[Insn]) -> String {
    let all = slots.iter().flat_map(|slot| slot.to_bytes(Endian::Little));
    all.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// One slot or two of a program as text that is read back as the same; how many slots it is.
///
/// A slot that is no instruction is written as its eight bytes.
pub fn instruction(insns: &[Insn], at: usize, syntax: Syntax) -> (String, usize) {
    match decode(insns, at) {
        Ok((op, slots)) => (line(op, syntax, None), slots),
        Err(_) => (insns.get(at).map(|&i| mnemonic::raw(i)).unwrap_or_default(), 1),
    }
}

/// Disassembles a program in the words of `llvm-objdump`: each instruction's slot and its text, or why the slot is
/// none.
///
/// A slot that is no instruction takes one line, and the next slot is tried.
pub fn disassemble(insns: &[Insn]) -> Vec<(usize, Result<String, DecodeError>)> {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < insns.len() {
        let decoded = decode(insns, at);
        let slots = decoded.as_ref().map_or(1, |(_, n)| *n);
        lines.push((at, decoded.map(|(op, _)| pseudo_c(op))));
        at += slots;
    }
    lines
}
