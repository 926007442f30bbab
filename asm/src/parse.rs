//! Pseudo-C to instructions.

use ebpfkit_isa::{AluOp, AtomicOp, CallKind, ImmKind, Insn, JmpOp, Op, Operand, Size, Width, encode};
use logos::Logos;
use rustc_hash::FxHashMap;

#[derive(Logos)]
#[logos(skip r"[ \t\r]+")]
enum Token {
    #[regex(r"[A-Za-z_.][A-Za-z0-9_.]*")]
    #[regex(r"[0-9][0-9A-Za-z]*")]
    #[regex(r"s?(<<|>>|/|%|<|>)=|s?>>=|s?[<>]|[-+*|&^=!]=|[-+*&=(),:\[\]]")]
    Text,
}

/// One thing wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}: `{text}`")]
pub struct AsmError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
    /// The line's text.
    pub text: String,
}

fn number(t: &[&str]) -> Option<i64> {
    let (negative, n) = match t {
        ["-", n] => (true, n),
        ["+", n] | [n] => (false, n),
        _ => return None,
    };
    let n = match n.strip_prefix("0x") {
        Some(h) => u64::from_str_radix(h, 16).ok()?,
        None => n.parse().ok()?,
    };
    Some(if negative { (n as i64).wrapping_neg() } else { n as i64 })
}

/// A 32-bit immediate, written signed or unsigned.
fn imm(t: &[&str]) -> Option<i32> {
    let n = number(t)?;
    i32::try_from(n).ok().or_else(|| u32::try_from(n).ok().map(|n| n as i32))
}

fn reg(t: &str) -> Option<(Width, u8)> {
    let width = if t.starts_with('w') { Width::W32 } else { Width::W64 };
    let n = t.strip_prefix(['r', 'w'])?.parse().ok()?;
    (n <= ebpfkit_isa::R10).then_some((width, n))
}

fn r64(t: &str) -> Option<u8> {
    reg(t).filter(|r| r.0 == Width::W64).map(|r| r.1)
}

fn operand(width: Width, t: &[&str]) -> Option<Operand> {
    match t {
        [r] if reg(r).is_some() => reg(r).filter(|r| r.0 == width).map(|r| Operand::Reg(r.1)),
        _ => imm(t).map(Operand::Imm),
    }
}

fn size(t: &str) -> Option<(bool, Size)> {
    let s = match t.get(1..)? {
        "8" => Size::B,
        "16" => Size::H,
        "32" => Size::W,
        "64" => Size::DW,
        _ => return None,
    };
    (t.starts_with(['u', 's'])).then_some((t.starts_with('s'), s))
}

fn place(base: &str, sign: &str, off: &str) -> Option<(u8, i16)> {
    matches!(sign, "+" | "-").then_some(())?;
    Some((r64(base)?, i16::try_from(number(&[sign, off])?).ok()?))
}

fn atomic(name: &str) -> Option<AtomicOp> {
    Some(match name {
        "+=" | "add" => AtomicOp::Add,
        "|=" | "or" => AtomicOp::Or,
        "&=" | "and" => AtomicOp::And,
        "^=" | "xor" => AtomicOp::Xor,
        _ => return None,
    })
}

fn comparison(op: &str) -> Option<JmpOp> {
    Some(match op {
        "==" => JmpOp::Eq,
        "!=" => JmpOp::Ne,
        "&" => JmpOp::Set,
        ">" => JmpOp::Gt,
        ">=" => JmpOp::Ge,
        "<" => JmpOp::Lt,
        "<=" => JmpOp::Le,
        "s>" => JmpOp::Sgt,
        "s>=" => JmpOp::Sge,
        "s<" => JmpOp::Slt,
        "s<=" => JmpOp::Sle,
        _ => return None,
    })
}

fn alu(op: &str) -> Option<AluOp> {
    Some(match op {
        "+=" => AluOp::Add,
        "-=" => AluOp::Sub,
        "*=" => AluOp::Mul,
        "/=" => AluOp::Div,
        "s/=" => AluOp::Sdiv,
        "|=" => AluOp::Or,
        "&=" => AluOp::And,
        "<<=" => AluOp::Lsh,
        ">>=" => AluOp::Rsh,
        "%=" => AluOp::Mod,
        "s%=" => AluOp::Smod,
        "^=" => AluOp::Xor,
        "=" => AluOp::Mov,
        "s>>=" => AluOp::Arsh,
        _ => return None,
    })
}

/// The right side of `dst = ...` where it is more than a value.
fn assign(d: &str, t: &[&str]) -> Option<Op> {
    let (width, dst) = reg(d)?;
    Some(match t {
        ["*", "(", ty, "*", ")", "(", b, s, o, ")"] => {
            let ((signed, size), (src, off)) = (size(ty)?, place(b, s, o)?);
            Op::Load { size, signed, dst, src, off }
        }
        ["*", "(", ty, "*", ")", "skb", "[", x @ .., "]"] if d == "r0" => match x {
            [r] if r64(r).is_some() => Op::LoadInd { size: size(ty)?.1, src: r64(r)?, imm: 0 },
            _ => Op::LoadAbs { size: size(ty)?.1, imm: imm(x)? },
        },
        ["load_acquire", "(", "(", ty, "*", ")", "(", b, s, o, ")", ")"] => {
            let (src, off) = place(b, s, o)?;
            Op::LoadAcquire { size: size(ty)?.1, dst, src, off }
        }
        [f, "(", "(", ty, "*", ")", "(", b, s, o, ")", ",", v, ")"] if *v == d => {
            let (op, (base, off)) = (atomic(f.strip_prefix("atomic_fetch_")?)?, place(b, s, o)?);
            Op::Atomic { op, fetch: true, size: size(ty)?.1, dst: base, src: dst, off }
        }
        [f @ ("xchg_64" | "xchg32_32"), "(", b, s, o, ",", v, ")"] if *v == d => {
            let (size, (base, off)) = (if *f == "xchg_64" { Size::DW } else { Size::W }, place(b, s, o)?);
            Op::Atomic { op: AtomicOp::Xchg, fetch: true, size, dst: base, src: dst, off }
        }
        [f @ ("cmpxchg_64" | "cmpxchg32_32"), "(", b, s, o, ",", "r0" | "w0", ",", v, ")"] if dst == 0 => {
            let (size, (base, off)) = (if *f == "cmpxchg_64" { Size::DW } else { Size::W }, place(b, s, o)?);
            Op::Atomic { op: AtomicOp::Cmpxchg, fetch: true, size, dst: base, src: reg(v)?.1, off }
        }
        ["addr_space_cast", "(", s, ",", a, ",", b, ")"] => {
            let (a, b) = (u16::try_from(number(&[a])?).ok()?, u16::try_from(number(&[b])?).ok()?);
            Op::AddrSpaceCast { dst, src: r64(s)?, imm: u32::from(a) << 16 | u32::from(b) }
        }
        ["(", ty, ")", s] if ty.starts_with('s') => {
            let src = reg(s).filter(|r| r.0 == width)?.1;
            Op::Movsx { width, bits: size(ty)?.1.bytes() as u8 * 8, dst, src }
        }
        ["-", s] if *s == d => Op::Neg { width, dst },
        [f, s] if *s == d => {
            let n = |p| f.strip_prefix(p).and_then(|n: &str| n.parse::<u8>().ok());
            match (n("be"), n("le"), n("bswap")) {
                (Some(bits), ..) => Op::Endian { big: true, bits, dst },
                (_, Some(bits), _) => Op::Endian { big: false, bits, dst },
                (.., Some(bits)) => Op::Bswap { bits, dst },
                _ => return None,
            }
        }
        [n @ .., "ll"] => Op::LoadImm64 { dst, imm: ImmKind::Value(number(n)? as u64) },
        _ => return None,
    })
}

fn instruction(t: &[&str], target: &dyn Fn(&[&str]) -> Option<i32>) -> Option<Op> {
    let near = |t: &[&str]| target(t).and_then(|n| i16::try_from(n).ok());
    Some(match t {
        ["exit"] => Op::Exit,
        ["goto", to @ ..] => Op::Ja { off: target(to)?, long: false },
        ["gotol", to @ ..] => Op::Ja { off: target(to)?, long: true },
        ["may_goto", to @ ..] => Op::MayGoto { off: near(to)? },
        ["callx", r] => Op::Call(CallKind::Reg(r64(r)?)),
        ["call", n @ ..] => match imm(n) {
            Some(n) => Op::Call(CallKind::Helper(n as u32)),
            None => Op::Call(CallKind::Local(target(n)?)),
        },
        ["if", a, op, rest @ ..] => {
            let (goto, (width, dst)) = (rest.iter().position(|w| *w == "goto")?, reg(a)?);
            let src = operand(width, &rest[..goto])?;
            Op::Jmp { op: comparison(op)?, width, dst, src, off: near(&rest[goto + 1..])? }
        }
        ["lock", "*", "(", ty, "*", ")", "(", b, s, o, ")", op, v] => {
            let (dst, off) = place(b, s, o)?;
            Op::Atomic { op: atomic(op)?, fetch: false, size: size(ty)?.1, dst, src: reg(v)?.1, off }
        }
        ["*", "(", ty, "*", ")", "(", b, s, o, ")", "=", v @ ..] => {
            let (dst, off) = place(b, s, o)?;
            let src = operand(Width::W64, v).or_else(|| operand(Width::W32, v))?;
            Op::Store { size: size(ty)?.1, dst, src, off }
        }
        ["store_release", "(", "(", ty, "*", ")", "(", b, s, o, ")", ",", v, ")"] => {
            let (dst, off) = place(b, s, o)?;
            Op::StoreRelease { size: size(ty)?.1, dst, src: reg(v)?.1, off }
        }
        [d, "=", rest @ ..] if assign(d, rest).is_some() => assign(d, rest)?,
        [d, op, v @ ..] => {
            let (width, dst) = reg(d)?;
            Op::Alu { op: alu(op)?, width, dst, src: operand(width, v)? }
        }
        _ => return None,
    })
}

/// Assembles pseudo-C, one instruction or `label:` a line; `//`, `#` and `;` start a comment.
///
/// Reports everything that is wrong, not only the first thing.
pub fn assemble(text: &str) -> Result<Vec<Insn>, Vec<AsmError>> {
    let mut errors = Vec::new();
    let (mut lines, mut labels, mut at) = (Vec::new(), FxHashMap::default(), 0i32);
    for (n, whole) in text.lines().enumerate() {
        let code = whole.split("//").next().unwrap_or("").split(['#', ';']).next().unwrap_or("");
        let mut fail = |problem: &str| {
            errors.push(AsmError { line: n + 1, problem: problem.into(), text: whole.trim().into() });
        };
        let mut words = Vec::new();
        for (token, span) in Token::lexer(code).spanned() {
            match token {
                Ok(_) => words.push(&code[span]),
                Err(()) => fail("character that no instruction has"),
            }
        }
        if let [label, ":"] = words[..] {
            if labels.insert(label, at).is_some() {
                fail("label defined twice");
            }
        } else if !words.is_empty() {
            at = at.saturating_add(1 + i32::from(words.last() == Some(&"ll")));
            lines.push((n + 1, whole, words, at));
        }
    }
    let mut out = Vec::new();
    for (line, whole, words, next) in lines {
        let target = |t: &[&str]| match t {
            [label] if labels.contains_key(label) => labels.get(label).map(|l| l - next),
            _ => number(t).and_then(|n| i32::try_from(n).ok()),
        };
        let mut fail = |problem: String| errors.push(AsmError { line, problem, text: whole.trim().into() });
        match instruction(&words, &target).map(encode) {
            Some(Ok((first, second))) => out.extend([Some(first), second].into_iter().flatten()),
            Some(Err(e)) => fail(e.to_string()),
            None => fail("not an instruction, or its label is not defined".into()),
        }
    }
    errors.sort_by_key(|e| e.line);
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}
