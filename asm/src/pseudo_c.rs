//! One instruction as pseudo-C, in the words that `llvm-objdump` uses.

use ebpfkit_isa::{AluOp, AtomicOp, CallKind, ImmKind, JmpOp, Op, Operand, Size, Width};

/// A number in hexadecimal, its sign before the prefix.
fn hex(n: i64) -> String {
    let sign = if n < 0 { "-" } else { "" };
    format!("{sign}{:#x}", n.unsigned_abs())
}

/// A jump distance, always with its sign.
fn jump(n: i64) -> String {
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

/// The register view that carries a value of this size.
fn view(size: Size) -> Width {
    if size == Size::DW { Width::W64 } else { Width::W32 }
}

fn bits(size: Size) -> usize {
    size.bytes() * 8
}

fn alu(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div => "/=",
        AluOp::Sdiv => "s/=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Mod => "%=",
        AluOp::Smod => "s%=",
        AluOp::Xor => "^=",
        AluOp::Mov => "=",
        AluOp::Arsh => "s>>=",
    }
}

fn comparison(op: JmpOp) -> &'static str {
    match op {
        JmpOp::Eq => "==",
        JmpOp::Gt => ">",
        JmpOp::Ge => ">=",
        JmpOp::Set => "&",
        JmpOp::Ne => "!=",
        JmpOp::Sgt => "s>",
        JmpOp::Sge => "s>=",
        JmpOp::Lt => "<",
        JmpOp::Le => "<=",
        JmpOp::Slt => "s<",
        JmpOp::Sle => "s<=",
    }
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

/// The instruction as pseudo-C, jumps as distances in slots.
pub fn pseudo_c(op: Op) -> String {
    match op {
        Op::Alu { op, width, dst, src } => format!("{} {} {}", reg(width, dst), alu(op), operand(width, src)),
        Op::Movsx { width, bits, dst, src } => format!("{} = (s{bits}){}", reg(width, dst), reg(width, src)),
        Op::Neg { width, dst } => format!("{0} = -{0}", reg(width, dst)),
        Op::Endian { big, bits, dst } => format!("r{dst} = {}{bits} r{dst}", if big { "be" } else { "le" }),
        Op::Bswap { bits, dst } => format!("r{dst} = bswap{bits} r{dst}"),
        Op::AddrSpaceCast { dst, src, imm } => {
            format!("r{dst} = addr_space_cast(r{src}, {:#x}, {:#x})", imm >> 16, imm & 0xffff)
        }
        Op::LoadImm64 { dst, imm } => {
            let join = |low: u32, high: u32| (u64::from(low) | u64::from(high) << 32) as i64;
            let value = match imm {
                ImmKind::Value(v) => v as i64,
                ImmKind::Map(n) | ImmKind::MapIdx(n) => n.into(),
                ImmKind::Func(d) => join(d as u32, 0),
                ImmKind::MapValue { map, off } => join(map, off),
                ImmKind::MapIdxValue { index, off } => join(index, off),
                ImmKind::BtfVar { id, btf_fd } => join(id, btf_fd),
            };
            format!("r{dst} = {} ll", hex(value))
        }
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
        Op::Ja { off, long } => format!("{} {}", if long { "gotol" } else { "goto" }, jump(off.into())),
        Op::Jmp { op, width, dst, src, off } => {
            let (a, b) = (reg(width, dst), operand(width, src));
            format!("if {a} {} {b} goto {}", comparison(op), jump(off.into()))
        }
        Op::MayGoto { off } => format!("may_goto {}", jump(off.into())),
        Op::Call(CallKind::Helper(n)) => format!("call {}", hex(i64::from(n as i32))),
        Op::Call(CallKind::Local(n)) => format!("call {}", hex(n.into())),
        Op::Call(CallKind::Kfunc { id, .. }) => format!("call {}", hex(i64::from(id as i32))),
        Op::Call(CallKind::Reg(n)) => format!("callx r{n}"),
        Op::Exit => "exit".into(),
    }
}
