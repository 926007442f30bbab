//! Pairs and longer runs of instructions that the interpreter takes in one step.
//!
//! The first instruction of a run becomes an operation that does all of it and skips the others. They stay where they
//! are, so that jumps into the middle find them.

use super::dense::{Inst, Op};

/// The code with runs as one operation where there is one.
pub(super) fn fuse(plain: &[Inst]) -> Vec<Inst> {
    (0..plain.len()).map(|at| run(&plain[at..]).unwrap_or(plain[at])).collect()
}

fn run(code: &[Inst]) -> Option<Inst> {
    rotation(code).or_else(|| pair(code))
}

/// `t = x; t >>= 64 - n; x <<= n; x |= t`
fn rotation(code: &[Inst]) -> Option<Inst> {
    let &[copy, right, left, or, ..] = code else { return None };
    let ops = (copy.op, right.op, left.op, or.op) == (Op::Mov64X, Op::Rsh64K, Op::Lsh64K, Op::Or64X);
    let (x, t) = (copy.src, copy.dst);
    let regs = x != t && right.dst == t && (left.dst, or.dst, or.src) == (x, x, t);
    let whole = (1..64).contains(&left.imm) && left.imm.checked_add(right.imm) == Some(64);
    (ops && regs && whole).then_some(Inst { op: Op::Rotate64, dst: x, src: t, off: 0, imm: left.imm })
}

fn pair(code: &[Inst]) -> Option<Inst> {
    let &[a, b, ..] = code else { return None };
    let with = |op, imm| Some(Inst { op, imm, ..a });
    match (a.op, b.op) {
        (Op::Mov64X, _) if a.dst == b.dst => match b.op {
            Op::Add64K => with(Op::MovAdd64K, b.imm),
            Op::And64K => with(Op::MovAnd64K, b.imm),
            Op::Lsh64K => with(Op::MovLsh64K, b.imm),
            Op::Rsh64K => with(Op::MovRsh64K, b.imm),
            // A register that is combined with itself has its new value then.
            _ if b.src == a.dst => None,
            Op::Add64X => with(Op::MovAdd64X, b.src.into()),
            Op::And64X => with(Op::MovAnd64X, b.src.into()),
            Op::Xor64X => with(Op::MovXor64X, b.src.into()),
            _ => None,
        },
        (Op::Lsh64K, Op::Or64X) if b.dst == a.dst && b.src != a.dst => Some(Inst { op: Op::LshOr64, src: b.src, ..a }),
        (Op::Lsh64K, Op::Rsh64K) if a.dst == b.dst && (a.imm, b.imm) == (32, 32) => with(Op::Zext32, 0),
        (Op::Add64K, Op::Jne64K | Op::Jlt64K) if a.dst == b.dst => {
            let op = if b.op == Op::Jne64K { Op::AddJne64 } else { Op::AddJlt64 };
            Some(Inst { op, off: b.off, imm: both(a.imm, b.imm)?, ..a })
        }
        (Op::Add32K, Op::Jne32K) if a.dst == b.dst => {
            Some(Inst { op: Op::AddJne32, off: b.off, imm: both(a.imm as i32 as u64, b.imm as i32 as u64)?, ..a })
        }
        _ => None,
    }
}

/// Two sign-extended numbers in one: the first in the low half.
fn both(low: u64, high: u64) -> Option<u64> {
    let fits = |n: u64| i32::try_from(n as i64).ok();
    Some(u64::from(fits(low)? as u32) | u64::from(fits(high)? as u32) << 32)
}
