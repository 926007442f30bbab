//! Constants before the walk: what registers hold whatever path leads to an instruction, and the conditional jumps that
//! this decides, which become jumps that are always or never taken.
//!
//! Registers that only a decided comparison reads are not live before it, so that states differ in less.

use crate::Env;
use crate::domain::{RegBase, RegExtra, RegState, RegType};
use ebpfkit_abi::Feature;
use ebpfkit_isa::opcode::{self, alu, class, jmp, mode};
use ebpfkit_isa::{Insn, REG_COUNT};

/// What a register holds before an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Held {
    /// No path has been seen yet.
    #[default]
    Unvisited,
    /// Something, or different things.
    Unknown,
    /// A constant.
    Const(u64),
    /// The address of a map's value, at an offset.
    Value { map: u32, off: u64 },
    /// A map.
    Map(u32),
    /// A function of the program.
    Func(u32),
}

/// What all registers hold.
pub(super) type Regs = [Held; REG_COUNT];

impl Held {
    fn is_const(self, value: u64) -> bool {
        self == Self::Const(value)
    }

    /// The same moved by a constant.
    fn moved(self, by: i64) -> Self {
        match self {
            Self::Const(value) => Self::Const(value.wrapping_add(by as u64)),
            Self::Value { map, off } => Self::Value { map, off: off.wrapping_add(by as u64) },
            _ => Self::Unknown,
        }
    }

    /// What is held where two paths meet; whether that is news.
    fn meet(&mut self, other: Self) -> bool {
        let met = match (*self, other) {
            (Self::Unvisited, other) => other,
            (held, other) if held == other || held == Self::Unknown => held,
            _ => Self::Unknown,
        };
        std::mem::replace(self, met) != met
    }
}

impl Env<'_> {
    /// Decides conditional jumps whose operands are constants. What registers hold before each instruction.
    pub(super) fn fold_constants(&mut self) -> Vec<Regs> {
        let folds = self.has(Feature::ConstantsFolded);
        if !folds && !self.has(Feature::StackLivenessFirst) {
            return Vec::new();
        }
        let held = self.constants();
        if !folds {
            return held;
        }
        let mut folded = None;
        for (at, regs) in held.iter().enumerate() {
            if let Some(taken) = outcome(self.insns()[at], regs) {
                let insns: &mut Vec<Insn> = folded.get_or_insert_with(|| self.insns().to_vec());
                let off = if taken { insns[at].off } else { 0 };
                insns[at] = Insn { code: class::JMP | jmp::JA, dst: 0, src: 0, off, imm: 0 };
            }
        }
        if let Some(folded) = folded {
            self.replace_insns(folded);
            self.compute_postorder();
        }
        held
    }

    /// What registers hold before each instruction.
    fn constants(&self) -> Vec<Regs> {
        let insns = self.insns();
        let mut held = vec![Regs::default(); insns.len()];
        for s in &self.subprogs[..self.subprogs.len() - 1] {
            held[s.start] = [Held::Unknown; REG_COUNT];
        }
        let mut changed = true;
        while changed {
            changed = false;
            for &at in self.postorder.iter().rev() {
                let mut after = held[at];
                self.hold_after(at, insns[at], &mut after);
                for next in self.successors(at) {
                    for (old, new) in held[next].iter_mut().zip(after) {
                        changed |= old.meet(new);
                    }
                }
            }
        }
        held
    }

    fn hold_after(&self, at: usize, insn: Insn, regs: &mut Regs) {
        let (dst, src) = (usize::from(insn.dst), usize::from(insn.src));
        if dst >= REG_COUNT || src >= REG_COUNT {
            return;
        }
        match insn.class() {
            class::ALU | class::ALU64 => {
                let held = self.computed(insn, regs[dst], regs[src]);
                regs[dst] = match held {
                    Held::Const(value) if insn.class() == class::ALU => Held::Const(u64::from(value as u32)),
                    Held::Value { .. } | Held::Map(_) | Held::Func(_) if insn.class() == class::ALU => Held::Unknown,
                    held => held,
                };
            }
            class::LD if matches!(insn.mode(), mode::ABS | mode::IND) => regs[..=5].fill(Held::Unknown),
            class::LD if insn.is_ld_imm64() => {
                regs[dst] = match self.aux[at].ld_imm {
                    None => self.insns().get(at + 1).map_or(Held::Unknown, |next| Held::Const(insn.imm64(*next))),
                    Some((RegType { base: RegBase::MapValue, .. }, RegExtra::Map { map, .. }, off)) => {
                        Held::Value { map, off: off.into() }
                    }
                    Some((RegType { base: RegBase::ConstMap, .. }, RegExtra::Map { map, .. }, _)) => Held::Map(map),
                    Some((RegType { base: RegBase::Func, .. }, RegExtra::Func { subprog }, _)) => Held::Func(subprog),
                    Some(_) => Held::Unknown,
                };
            }
            class::LDX => regs[dst] = self.loaded(insn, regs[src]),
            class::JMP if insn.code == opcode::CALL => regs[..=5].fill(Held::Unknown),
            class::STX => {
                for reg in insn.writes().iter() {
                    regs[usize::from(reg)] = Held::Unknown;
                }
            }
            _ => {}
        }
    }

    /// What an arithmetic instruction gives, in 64 bits.
    fn computed(&self, insn: Insn, dst: Held, src: Held) -> Held {
        let imm = i64::from(insn.imm);
        match (insn.op(), insn.is_src_reg()) {
            (alu::MOV, false) => Held::Const(imm as u64),
            (alu::MOV, true) => match (insn.off, src) {
                (0, held) => held,
                (8, Held::Const(value)) => Held::Const(i64::from(value as i8) as u64),
                (16, Held::Const(value)) => Held::Const(i64::from(value as i16) as u64),
                (32, Held::Const(value)) => Held::Const(i64::from(value as i32) as u64),
                _ => Held::Unknown,
            },
            (alu::ADD, false) => dst.moved(imm),
            (alu::SUB, false) => dst.moved(imm.wrapping_neg()),
            (alu::AND, false) if imm == 0 => Held::Const(0),
            (alu::AND, false) => match dst {
                Held::Const(value) => Held::Const(value & imm as u64),
                _ => Held::Unknown,
            },
            (alu::AND, true) if dst.is_const(0) || src.is_const(0) => Held::Const(0),
            (alu::AND, true) => match (dst, src) {
                (Held::Const(a), Held::Const(b)) => Held::Const(a & b),
                _ => Held::Unknown,
            },
            _ => Held::Unknown,
        }
    }

    /// What a load from a constant map gives.
    fn loaded(&self, insn: Insn, from: Held) -> Held {
        let Held::Value { map, off } = from else { return Held::Unknown };
        let Ok(off) = i32::try_from((off as i64).wrapping_add(insn.off.into())) else { return Held::Unknown };
        let bytes = insn.access_size();
        let pointer = RegState::pointer(RegType::of(RegBase::MapValue), RegExtra::Map { map, uid: 0 });
        let Some(value) = self.frozen_value(&pointer, off, bytes) else { return Held::Unknown };
        let unused = 64 - 8 * bytes.min(8);
        let extended = insn.mode() == mode::MEMSX && unused < 64;
        Held::Const(if extended { ((value << unused) as i64 >> unused) as u64 } else { value })
    }
}

/// Whether a conditional jump is taken, where constants that fit 32 bits decide it.
fn outcome(insn: Insn, regs: &Regs) -> Option<bool> {
    let is_jump = matches!(insn.class(), class::JMP | class::JMP32);
    if !is_jump || matches!(insn.op(), jmp::JA | jmp::CALL | jmp::EXIT | jmp::JCOND) {
        return None;
    }
    let small = |reg: u8| match regs.get(usize::from(reg))? {
        Held::Const(value) if *value <= u32::MAX.into() => Some(*value),
        _ => None,
    };
    let mut a = small(insn.dst)?;
    let mut b = if insn.is_src_reg() { small(insn.src)? } else { i64::from(insn.imm) as u64 };
    if insn.class() == class::JMP32 {
        (a, b) = (i64::from(a as i32) as u64, i64::from(b as i32) as u64);
    }
    let (sa, sb) = (a as i64, b as i64);
    Some(match insn.op() {
        jmp::JEQ => a == b,
        jmp::JNE => a != b,
        jmp::JGT => a > b,
        jmp::JGE => a >= b,
        jmp::JLT => a < b,
        jmp::JLE => a <= b,
        jmp::JSGT => sa > sb,
        jmp::JSGE => sa >= sb,
        jmp::JSLT => sa < sb,
        jmp::JSLE => sa <= sb,
        jmp::JSET => a & b != 0,
        _ => return None,
    })
}
