//! Mends of accesses to the context.

use super::patch::{Edit, New};
use super::{Mend, code, plain};
use crate::case::Case;
use crate::origin::How;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{JA, alu, class, jmp};
use ebpfkit_verifier::reason::MemoryReason;
use ebpfkit_verifier::{Reason, RegBase};

/// Offsets that are told apart at most.
const MOST_OFFSETS: usize = 8;

pub(crate) fn candidates(case: &Case<'_>) -> Vec<Mend> {
    match case.reason() {
        Reason::Memory(MemoryReason::ModifiedPointer { reg, .. }) => chosen(case, *reg).into_iter().collect(),
        Reason::Memory(MemoryReason::VariableOffset { .. }) if crate::families::is_behind_fields(case) => {
            let mut out = Vec::new();
            if let (Some(step), Some(base)) = (case.step().filter(|_| case.is_reached()), case.here().memory_base()) {
                super::pointers::probe(case, step, base, &mut out);
            }
            out
        }
        _ => Vec::new(),
    }
}

/// One load at a chosen offset becomes a choice of loads at constant offsets.
fn chosen(case: &Case<'_>, reg: u8) -> Option<Mend> {
    let load = case.here();
    if load.class() != class::LDX || load.memory_base() != Some(reg) {
        return None;
    }
    let history = case.history(reg);
    let (sum, other) = history.iter().find_map(|e| match e.how {
        How::Computed { op: alu::ADD, with: Some(with), is_32: false } => Some((*e, with)),
        _ => None,
    })?;
    let at = case.event_insn(&sum);
    let dst = case.insn(at).dst;
    let is_ctx = |r: u8| case.trace.reg(sum.step, r).is_some_and(|r| r.ty.base == RegBase::Ctx);
    let (pointer, offset) = match (is_ctx(dst), is_ctx(other)) {
        (true, false) => (dst, other),
        (false, true) => (other, dst),
        _ => return None,
    };
    // Nothing may happen to the two registers between the sum and the load, and nothing may lead there.
    let lands = |slot: usize| {
        let mut insns = case.program.insns.iter().enumerate();
        insns.any(|(i, insn)| insn.successors(i).jump == Some(slot as i64))
    };
    let between = at + 1..case.at();
    let keeps = |i: usize| {
        let (insn, writes) = (case.insn(i), case.insn(i).writes());
        !insn.is_jump_class() && !writes.contains(pointer) && !writes.contains(offset)
    };
    if dst != reg || at >= case.at() || !between.clone().all(keeps) || (at + 1..=case.at()).any(lands) {
        return None;
    }
    // The numbers that the offset is set to.
    let start = case.function_start(at);
    let end = case.function_ends().into_iter().find(|&e| e > start)?;
    let is_set = |i: &Insn| {
        matches!(i.class(), class::ALU | class::ALU64) && i.op() == alu::MOV && !i.is_src_reg() && i.dst == offset
    };
    let mut offsets: Vec<i32> = (start..end).map(|i| case.insn(i)).filter(is_set).map(|i| i.imm).collect();
    offsets.sort_unstable();
    offsets.dedup();
    if offsets.len() < 2 || offsets.len() > MOST_OFFSETS {
        return None;
    }
    let load_at = |off: i32| {
        let off = i16::try_from(i32::from(load.off) + off).ok()?;
        Some(Insn { src: pointer, off, ..load })
    };
    let (last, others) = offsets.split_last()?;
    let mut code: Vec<New> = Vec::new();
    for (n, off) in others.iter().enumerate() {
        let behind = (others.len() - n - 1) * 3 + 1;
        code.extend(plain(vec![
            code::jump_imm(jmp::JNE, offset, *off, 2),
            load_at(*off)?,
            Insn::new(JA, 0, 0, behind as i16, 0),
        ]));
    }
    code.extend(plain(vec![load_at(*last)?]));
    let fields: Vec<String> = offsets
        .iter()
        .filter_map(|o| case.ctx_field(i64::from(load.off) + i64::from(*o)).map(|f| f.name.to_owned()))
        .collect();
    let which = match fields.len() == offsets.len() {
        true => fields.join(", "),
        false => offsets.iter().map(|o| (i32::from(load.off) + o).to_string()).collect::<Vec<_>>().join(", "),
    };
    let text = format!("load each of the fields at its own constant offset ({which}), and choose between the loads");
    Some(Mend::new(text, vec![Edit::Replace(at, Vec::new()), Edit::Replace(case.at(), code)]))
}
