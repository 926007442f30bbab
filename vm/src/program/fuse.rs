//! Pairs and longer runs of instructions that the interpreter takes in one step.
//!
//! The step of the first instruction does all of the run and skips the others. They keep steps of their own, so that jumps
//! into the middle find them.

use super::dense::{Inst, Op};

/// What a run of instructions does. `dst`, `src` and `imm` are those of [`Fused::inst`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[rustfmt::skip]
pub(crate) enum What {
    /// `dst = src op imm`, or with the register that `imm` names.
    MovAdd64K, MovAnd64K, MovLsh64K, MovRsh64K, MovAdd64X, MovAnd64X, MovXor64X,
    /// `dst` rotated left by `imm`; `src` gets what came in at the right.
    Rotate64,
    /// `dst = dst << imm | src`
    LshOr64,
    /// The low half of `dst`.
    Zext32,
    /// `dst = src`, and the same of the registers that the lowest bytes of `imm` name.
    MovMov64,
    /// `dst` times the low half of `imm`, plus the high half; both signed.
    MulAdd64,
    /// `dst = src` plus the low half of `imm`, signed; then a jump if it is above the register that the high half names,
    /// as when a program asks for the end of a packet.
    MovAddJgt64,
    /// `dst` plus the low half of `imm`, compared with the high half; both signed.
    AddJne64, AddJlt64, AddJne32,
}

/// A run of instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fused {
    pub what: What,
    pub dst: u8,
    pub src: u8,
    /// What the last one needs: an offset, or the target of a jump.
    pub off: i32,
    pub imm: u64,
}

impl What {
    /// The number of its last instruction, counted from zero, where that is a jump; `off` is the target then.
    pub(super) fn jump(self) -> Option<usize> {
        match self {
            Self::AddJne64 | Self::AddJlt64 | Self::AddJne32 => Some(1),
            Self::MovAddJgt64 => Some(2),
            _ => None,
        }
    }
}

/// The run that the code begins with.
pub(super) fn fuse(code: &[Inst]) -> Option<Fused> {
    longer(code).or_else(|| copies(code))
}

/// Runs that are worth more than two copies.
fn longer(code: &[Inst]) -> Option<Fused> {
    rotation(code).or_else(|| bound(code)).or_else(|| pair(code))
}

/// Two copies, unless the second begins something better.
fn copies(code: &[Inst]) -> Option<Fused> {
    let &[a, b, ..] = code else { return None };
    let both = (a.op, b.op) == (Op::Mov64X, Op::Mov64X) && longer(&code[1..]).is_none();
    let imm = u64::from(b.dst) | u64::from(b.src) << 8;
    both.then_some(Fused { what: What::MovMov64, dst: a.dst, src: a.src, off: 0, imm })
}

/// `d = s; d += n; if d > e goto`
fn bound(code: &[Inst]) -> Option<Fused> {
    let &[copy, add, jump, ..] = code else { return None };
    if (copy.op, add.op, add.dst) != (Op::Mov64X, Op::Add64K, copy.dst) {
        return None;
    }
    let d = copy.dst;
    let end = match jump.op {
        Op::Jgt64X if jump.dst == d && jump.src != d => jump.src,
        Op::Jlt64X if jump.src == d && jump.dst != d => jump.dst,
        _ => return None,
    };
    let imm = both(add.imm, end.into())?;
    Some(Fused { what: What::MovAddJgt64, dst: d, src: copy.src, off: jump.off, imm })
}

/// `t = x; t >>= 64 - n; x <<= n; x |= t`
fn rotation(code: &[Inst]) -> Option<Fused> {
    let &[copy, right, left, or, ..] = code else { return None };
    let ops = (copy.op, right.op, left.op, or.op) == (Op::Mov64X, Op::Rsh64K, Op::Lsh64K, Op::Or64X);
    let (x, t) = (copy.src, copy.dst);
    let regs = x != t && right.dst == t && (left.dst, or.dst, or.src) == (x, x, t);
    let whole = (1..64).contains(&left.imm) && left.imm.checked_add(right.imm) == Some(64);
    (ops && regs && whole).then_some(Fused { what: What::Rotate64, dst: x, src: t, off: 0, imm: left.imm })
}

fn pair(code: &[Inst]) -> Option<Fused> {
    let &[a, b, ..] = code else { return None };
    let with = |what, imm| Some(Fused { what, dst: a.dst, src: a.src, off: 0, imm });
    match (a.op, b.op) {
        (Op::Mov64X, _) if a.dst == b.dst => match b.op {
            Op::Add64K => with(What::MovAdd64K, b.imm),
            Op::And64K => with(What::MovAnd64K, b.imm),
            Op::Lsh64K => with(What::MovLsh64K, b.imm),
            Op::Rsh64K => with(What::MovRsh64K, b.imm),
            // A register that is combined with itself has its new value then.
            _ if b.src == a.dst => None,
            Op::Add64X => with(What::MovAdd64X, b.src.into()),
            Op::And64X => with(What::MovAnd64X, b.src.into()),
            Op::Xor64X => with(What::MovXor64X, b.src.into()),
            _ => None,
        },
        (Op::Mul64K, Op::Add64K) if a.dst == b.dst => with(What::MulAdd64, both(a.imm, b.imm)?),
        (Op::Lsh64K, Op::Or64X) if b.dst == a.dst && b.src != a.dst => {
            Some(Fused { what: What::LshOr64, dst: a.dst, src: b.src, off: 0, imm: a.imm })
        }
        (Op::Lsh64K, Op::Rsh64K) if a.dst == b.dst && (a.imm, b.imm) == (32, 32) => with(What::Zext32, 0),
        (Op::Add64K, Op::Jne64K | Op::Jlt64K) if a.dst == b.dst => {
            let what = if b.op == Op::Jne64K { What::AddJne64 } else { What::AddJlt64 };
            Some(Fused { off: b.off, ..with(what, both(a.imm, b.imm)?)? })
        }
        (Op::Add32K, Op::Jne32K) if a.dst == b.dst => {
            Some(Fused { off: b.off, ..with(What::AddJne32, both(a.imm as i32 as u64, b.imm as i32 as u64)?)? })
        }
        _ => None,
    }
}

/// Two sign-extended numbers in one: the first in the low half.
fn both(low: u64, high: u64) -> Option<u64> {
    let fits = |n: u64| i32::try_from(n as i64).ok();
    Some(u64::from(fits(low)? as u32) | u64::from(fits(high)? as u32) << 32)
}
