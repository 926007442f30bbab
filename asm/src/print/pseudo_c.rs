//! One instruction as pseudo-C, in the words that `llvm-objdump` uses.

use crate::text::{COMPARISONS, UPDATES, view};
use ebpfkit_isa::opcode::pseudo;
use ebpfkit_isa::{AluOp, AtomicOp, CallKind, ImmKind, JmpOp, Op, Operand, Size, Width};

/// A number in hexadecimal, its sign before the prefix.
pub(super) fn hex(n: i64) -> String {
    let sign = if n < 0 { "-" } else { "" };
    format!("{sign}{:#x}", n.unsigned_abs())
}

/// A jump distance, always with its sign.
pub(super) fn jump(n: i64) -> String {
    let sign = if n < 0 { '-' } else { '+' };
    format!("{sign}{:#x}", n.unsigned_abs())
}

/// `r1 - 0x8`
fn address(base: u8, off: i16) -> String {
    let sign = if off < 0 { '-' } else { '+' };
    format!("r{base} {sign} {:#x}", off.unsigned_abs())
}

fn reg(width: Width, n: u8) -> String {
    format!("{}{n}", if width == Width::W32 { 'w' } else { 'r' })
}

fn operand(width: Width, o: Operand) -> String {
    match o {
        Operand::Reg(n) => reg(width, n),
        Operand::Imm(n) => hex(n.into()),
    }
}

fn bits(size: Size) -> usize {
    size.bytes() * 8
}

fn alu(op: AluOp) -> &'static str {
    // The one that is no update.
    UPDATES.iter().find(|u| u.1 == op).map_or("=", |u| u.0)
}

fn comparison(op: JmpOp) -> &'static str {
    COMPARISONS.iter().find(|c| c.1 == op).map_or("", |c| c.0)
}

fn atomic(op: AtomicOp, fetch: bool, size: Size, dst: u8, src: u8, off: i16) -> String {
    let (at, n, value) = (address(dst, off), bits(size), reg(view(size), src));
    let wide = if n == 32 { "32_32" } else { "_64" };
    let (sign, name) = match op {
        AtomicOp::Add => ("+=", "add"),
        AtomicOp::Or => ("|=", "or"),
        AtomicOp::And => ("&=", "and"),
        AtomicOp::Xor => ("^=", "xor"),
        AtomicOp::Xchg => return format!("{value} = xchg{wide}({at}, {value})"),
        AtomicOp::Cmpxchg => {
            let r0 = reg(view(size), 0);
            return format!("{r0} = cmpxchg{wide}({at}, {r0}, {value})");
        }
    };
    match fetch {
        true => format!("{value} = atomic_fetch_{name}((u{n} *)({at}), {value})"),
        false => format!("lock *(u{n} *)({at}) {sign} {value}"),
    }
}

/// The 64-bit load as objdump writes it, which shows no more than half of what is not a plain number.
fn wide(dst: u8, imm: ImmKind) -> String {
    let (kind, low) = match imm {
        ImmKind::Value(v) => return format!("r{dst} = {} ll", hex(v as i64)),
        ImmKind::Map(n) => (pseudo::MAP_FD, n),
        ImmKind::MapValue { map, .. } => (pseudo::MAP_VALUE, map),
        ImmKind::BtfVar { id, .. } => (pseudo::BTF_ID, id),
        ImmKind::Func(d) => (pseudo::FUNC, d as u32),
        ImmKind::MapIdx(n) => (pseudo::MAP_IDX, n),
        ImmKind::MapIdxValue { index, .. } => (pseudo::MAP_IDX_VALUE, index),
    };
    format!("ld_pseudo r{dst}, {kind:#x}, {low:#x}")
}

/// The instruction in the words of `llvm-objdump`, jumps as distances in slots.
///
/// Not everything is in the words: a call may be of a helper or of a function, and a packet load loses its number.
pub fn pseudo_c(op: Op) -> String {
    written(op, None)
}

/// A packet load with a register and a number, of which objdump shows the register.
pub(super) fn packet(size: Size, src: u8, imm: i32) -> String {
    let sign = if imm < 0 { '-' } else { '+' };
    format!("r0 = *(u{} *)skb[r{src} {sign} {:#x}]", bits(size), imm.unsigned_abs())
}

/// The instruction with a name in the place of a jump's target, of what is called or of a 64-bit number.
pub(crate) fn written(op: Op, name: Option<&str>) -> String {
    let to = |n: i64| name.map_or_else(|| jump(n), str::to_owned);
    let called = |n: i64| format!("call {}", name.map_or_else(|| hex(n), str::to_owned));
    match op {
        Op::Alu { op, width, dst, src } => format!("{} {} {}", reg(width, dst), alu(op), operand(width, src)),
        Op::Movsx { width, bits, dst, src } => format!("{} = (s{bits}){}", reg(width, dst), reg(width, src)),
        Op::Neg { width, dst } => format!("{0} = -{0}", reg(width, dst)),
        Op::Endian { big, bits, dst } => format!("r{dst} = {}{bits} r{dst}", if big { "be" } else { "le" }),
        Op::Bswap { bits, dst } => format!("r{dst} = bswap{bits} r{dst}"),
        Op::AddrSpaceCast { dst, src, imm } => {
            format!("r{dst} = addr_space_cast(r{src}, {:#x}, {:#x})", imm >> 16, imm & 0xffff)
        }
        Op::LoadImm64 { dst, imm } => match name {
            Some(name) => format!("r{dst} = {name} ll"),
            None => wide(dst, imm),
        },
        Op::LoadAbs { size, imm } => format!("r0 = *(u{} *)skb[{}]", bits(size), hex(imm.into())),
        Op::LoadInd { size, src, .. } => format!("r0 = *(u{} *)skb[r{src}]", bits(size)),
        Op::Load { size, signed: true, dst, src, off } => {
            format!("r{dst} = *(s{} *)({})", bits(size), address(src, off))
        }
        Op::Load { size, dst, src, off, .. } => {
            format!("{} = *(u{} *)({})", reg(view(size), dst), bits(size), address(src, off))
        }
        Op::Store { size, dst, src, off } => {
            format!("*(u{} *)({}) = {}", bits(size), address(dst, off), operand(view(size), src))
        }
        Op::Atomic { op, fetch, size, dst, src, off } => atomic(op, fetch, size, dst, src, off),
        Op::LoadAcquire { size, dst, src, off } => {
            format!("{} = load_acquire((u{} *)({}))", reg(view(size), dst), bits(size), address(src, off))
        }
        Op::StoreRelease { size, dst, src, off } => {
            format!("store_release((u{} *)({}), {})", bits(size), address(dst, off), reg(view(size), src))
        }
        Op::Ja { off, long } => format!("{} {}", if long { "gotol" } else { "goto" }, to(off.into())),
        Op::Jmp { op, width, dst, src, off } => {
            let (a, b) = (reg(width, dst), operand(width, src));
            format!("if {a} {} {b} goto {}", comparison(op), to(off.into()))
        }
        Op::GotoX { dst } => format!("gotox r{dst}"),
        Op::MayGoto { off } => format!("may_goto {}", to(off.into())),
        Op::Call(CallKind::Helper(n)) => called(i64::from(n as i32)),
        Op::Call(CallKind::Local(n)) => called(n.into()),
        Op::Call(CallKind::Kfunc { id, .. }) => called(i64::from(id as i32)),
        Op::Call(CallKind::Reg(n)) => format!("callx r{n}"),
        Op::Exit => "exit".into(),
    }
}
