//! What pseudo-C statements mean.

use super::cx::{Context, register_name};
use super::statement::{At, Draft, Register, Sum, Target, Wide};
use ebpfkit_isa::{AluOp, AtomicOp, CallKind, ImmKind, Insn, JmpOp, Op, Operand, Size, Width};
use std::ops::Range;

/// `(r1 + 4)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub base: u8,
    pub off: i16,
}

/// Right side of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'t> {
    Register(At<Register>),
    Number(At<Sum<'t>>),
}

/// What operations are called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument<'t> {
    Register(At<Register>),
    /// `(u32 *)(r1 + 4)`
    Memory(At<&'t str>, Address),
    /// `r1 + 4`
    Address(At<Register>, At<Sum<'t>>),
    Number(At<Sum<'t>>),
}

pub(crate) fn address<'t>(cx: &mut Context<'t>, base: At<Register>, off: At<Option<Sum<'t>>>) -> Address {
    let base = cx.wide(&base);
    let off = match off.value {
        Some(sum) => {
            let number = cx.value(sum);
            cx.int16(number, off.span, "offset")
        }
        None => 0,
    };
    Address { base, off }
}

/// Size and signedness of a type's name.
fn size(cx: &mut Context<'_>, name: &At<&str>) -> (Size, bool) {
    const NAMES: [(&str, Size, bool); 8] = [
        ("u8", Size::B, false),
        ("u16", Size::H, false),
        ("u32", Size::W, false),
        ("u64", Size::DW, false),
        ("s8", Size::B, true),
        ("s16", Size::H, true),
        ("s32", Size::W, true),
        ("s64", Size::DW, true),
    ];
    match NAMES.iter().find(|n| n.0 == name.value) {
        Some(&(_, size, signed)) => (size, signed),
        None => {
            let help = Some("the types are u8, u16, u32, u64 and s8, s16, s32".into());
            cx.problem_with(name.span.clone(), format!("`{}` is no type", name.value), help);
            (Size::DW, false)
        }
    }
}

fn unsigned(cx: &mut Context<'_>, name: &At<&str>) -> Size {
    let (size, signed) = size(cx, name);
    if signed {
        let help = Some(format!("write `{}`", name.value.replace('s', "u")));
        cx.problem_with(name.span.clone(), "only plain loads extend the sign", help);
    }
    size
}

/// The register view that carries a value of this size.
pub(crate) fn view(size: Size) -> Width {
    if size == Size::DW { Width::W64 } else { Width::W32 }
}

/// A register for a value in memory: `r` always does, `w` not for 64 bits.
fn carrier(cx: &mut Context<'_>, r: &At<Register>, size: Size) -> u8 {
    if size == Size::DW { cx.wide(r) } else { cx.register(r) }
}

fn operand<'t>(cx: &mut Context<'t>, width: Width, value: Value<'t>) -> Operand {
    match value {
        Value::Register(r) => Operand::Reg(cx.of_width(&r, width)),
        Value::Number(n) => Operand::Imm(cx.int32(n)),
    }
}

pub(crate) fn jump(long: bool, to: At<Target<'_>>) -> Draft<'_> {
    Draft::Jump(Op::Ja { off: 0, long }, to)
}

pub(crate) fn may_jump(to: At<Target<'_>>) -> Draft<'_> {
    Draft::Jump(Op::MayGoto { off: 0 }, to)
}

pub(crate) fn jump_register<'t>(cx: &mut Context<'t>, r: At<Register>) -> Draft<'t> {
    Draft::Op(Op::GotoX { dst: cx.wide(&r) })
}

pub(crate) fn call_register<'t>(cx: &mut Context<'t>, r: At<Register>) -> Draft<'t> {
    Draft::Op(Op::Call(CallKind::Reg(cx.wide(&r))))
}

/// The signs of comparisons.
pub(crate) const COMPARISONS: [(&str, JmpOp); 11] = [
    ("==", JmpOp::Eq),
    (">", JmpOp::Gt),
    (">=", JmpOp::Ge),
    ("&", JmpOp::Set),
    ("!=", JmpOp::Ne),
    ("s>", JmpOp::Sgt),
    ("s>=", JmpOp::Sge),
    ("<", JmpOp::Lt),
    ("<=", JmpOp::Le),
    ("s<", JmpOp::Slt),
    ("s<=", JmpOp::Sle),
];

pub(crate) fn branch<'t>(
    cx: &mut Context<'t>,
    a: At<Register>,
    sign: At<&'t str>,
    b: Value<'t>,
    to: At<Target<'t>>,
) -> Draft<'t> {
    let width = a.value.width;
    let dst = cx.register(&a);
    let src = operand(cx, width, b);
    // The lexer knows no other signs.
    let Some(&(_, op)) = COMPARISONS.iter().find(|c| c.0 == sign.value) else { return Draft::Broken };
    Draft::Jump(Op::Jmp { op, width, dst, src, off: 0 }, to)
}

/// The signs of arithmetic.
pub(crate) const UPDATES: [(&str, AluOp); 13] = [
    ("+=", AluOp::Add),
    ("-=", AluOp::Sub),
    ("*=", AluOp::Mul),
    ("/=", AluOp::Div),
    ("s/=", AluOp::Sdiv),
    ("|=", AluOp::Or),
    ("&=", AluOp::And),
    ("<<=", AluOp::Lsh),
    (">>=", AluOp::Rsh),
    ("%=", AluOp::Mod),
    ("s%=", AluOp::Smod),
    ("^=", AluOp::Xor),
    ("s>>=", AluOp::Arsh),
];

pub(crate) fn update<'t>(cx: &mut Context<'t>, d: At<Register>, sign: At<&'t str>, s: Value<'t>) -> Draft<'t> {
    let width = d.value.width;
    let dst = cx.register(&d);
    let src = operand(cx, width, s);
    let Some(&(_, op)) = UPDATES.iter().find(|u| u.0 == sign.value) else { return Draft::Broken };
    Draft::Op(Op::Alu { op, width, dst, src })
}

pub(crate) fn assign<'t>(cx: &mut Context<'t>, d: At<Register>, s: Value<'t>) -> Draft<'t> {
    let width = d.value.width;
    let dst = cx.register(&d);
    let src = operand(cx, width, s);
    Draft::Op(Op::Alu { op: AluOp::Mov, width, dst, src })
}

/// `r1 = 5 ll`, `r1 = symbol + 8 ll`
pub(crate) fn wide<'t>(cx: &mut Context<'t>, d: At<Register>, n: At<Sum<'t>>) -> Draft<'t> {
    let dst = cx.wide(&d);
    wide_number(cx, dst, n)
}

/// `r1 = lock ll`, of something whose name is a word of instructions.
pub(crate) fn wide_keyword<'t>(
    cx: &mut Context<'t>,
    d: At<Register>,
    name: At<&'t str>,
    offset: Option<Sum<'t>>,
) -> Draft<'t> {
    let dst = cx.wide(&d);
    let offset = offset.map_or(0, |o| cx.value(o));
    Draft::Wide(dst, At { value: Wide::Symbol(name.value, offset), span: name.span })
}

/// A 64-bit load of a number or a symbol.
pub(crate) fn wide_number<'t>(cx: &mut Context<'t>, dst: u8, n: At<Sum<'t>>) -> Draft<'t> {
    let At { value: Sum { name, number, .. }, span } = n;
    if let Some(name) = name {
        return Draft::Wide(dst, At { value: Wide::Symbol(name.value, number), span });
    }
    Draft::Op(Op::LoadImm64 { dst, imm: ImmKind::Value(int64(cx, number, span)) })
}

fn int64(cx: &mut Context<'_>, number: i128, span: Range<usize>) -> u64 {
    if i64::try_from(number).is_err() && u64::try_from(number).is_err() {
        cx.problem(span, format!("{number} does not fit in 64 bits"));
    }
    number as u64
}

pub(crate) fn named<'t>(cx: &mut Context<'t>, d: At<Register>, w: At<Wide<'t>>) -> Draft<'t> {
    Draft::Wide(cx.wide(&d), w)
}

/// The register that stands on both sides of an assignment.
fn same(cx: &mut Context<'_>, d: &At<Register>, s: &At<Register>) -> u8 {
    let dst = cx.register(d);
    if d.value != s.value {
        let name = register_name(d.value.width, d.value.number);
        let message = format!("the instruction changes a register in place: expected `{name}` on both sides");
        cx.problem_with(s.span.clone(), message, None);
    }
    dst
}

pub(crate) fn negate<'t>(cx: &mut Context<'t>, d: At<Register>, s: At<Register>) -> Draft<'t> {
    Draft::Op(Op::Neg { width: d.value.width, dst: same(cx, &d, &s) })
}

/// `r1 = be16 r1`
pub(crate) fn swap<'t>(cx: &mut Context<'t>, d: At<Register>, n: At<&'t str>, s: At<Register>) -> Draft<'t> {
    let dst = cx.wide(&d);
    same(cx, &d, &s);
    match swap_op(n.value, dst) {
        Some(op) => Draft::Op(op),
        None => {
            let names = ["be", "le", "bswap"].iter().flat_map(|p| [16, 32, 64].map(|n| format!("{p}{n}")));
            let names: Vec<String> = names.collect();
            let help = cx.problems.suggest(n.value, names.iter().map(String::as_str));
            cx.problem_with(
                n.span,
                format!("`{}` is no byte order: expected be, le or bswap with 16, 32 or 64", n.value),
                help,
            );
            Draft::Broken
        }
    }
}

/// The byte swap of a name such as `be16`.
pub(crate) fn swap_op(name: &str, dst: u8) -> Option<Op> {
    let bits = |prefix: &str| match name.strip_prefix(prefix) {
        Some("16") => Some(16),
        Some("32") => Some(32),
        Some("64") => Some(64),
        _ => None,
    };
    let endian = |big, bits| Op::Endian { big, bits, dst };
    (bits("be").map(|b| endian(true, b)))
        .or_else(|| bits("le").map(|b| endian(false, b)))
        .or_else(|| bits("bswap").map(|bits| Op::Bswap { bits, dst }))
}

/// `r1 = (s8)r2`
pub(crate) fn extend<'t>(cx: &mut Context<'t>, d: At<Register>, t: At<&'t str>, s: At<Register>) -> Draft<'t> {
    let width = d.value.width;
    let (dst, src) = (cx.register(&d), cx.of_width(&s, width));
    let (size, signed) = size(cx, &t);
    let bits = size.bytes() as u8 * 8;
    let most = if width == Width::W32 { 16 } else { 32 };
    if !signed || bits > most {
        let types = if width == Width::W32 { "s8 or s16" } else { "s8, s16 or s32" };
        cx.problem(t.span, format!("expected {types}, found `{}`", t.value));
        return Draft::Broken;
    }
    Draft::Op(Op::Movsx { width, bits, dst, src })
}

pub(crate) fn load<'t>(cx: &mut Context<'t>, d: At<Register>, t: At<&'t str>, p: Address) -> Draft<'t> {
    let (size, signed) = size(cx, &t);
    if signed && size == Size::DW {
        cx.problem_with(t.span, "64 bits have no sign to extend", Some("write `u64`".into()));
    }
    let dst = if signed { cx.wide(&d) } else { carrier(cx, &d, size) };
    Draft::Op(Op::Load { size, signed, dst, src: p.base, off: p.off })
}

/// `r0 = *(u8 *)skb[12]`
pub(crate) fn packet<'t>(
    cx: &mut Context<'t>,
    d: At<Register>,
    t: At<&'t str>,
    what: At<&'t str>,
    index: At<Argument<'t>>,
) -> Draft<'t> {
    if d.value != (Register { width: Width::W64, number: 0 }) {
        let name = register_name(d.value.width, d.value.number);
        cx.problem(d.span, format!("packet loads write r0, found `{name}`"));
    }
    if what.value != "skb" {
        cx.problem(what.span, format!("expected `skb`, found `{}`", what.value));
    }
    let size = unsigned(cx, &t);
    if size == Size::DW {
        cx.problem(t.span, "packet loads have at most 32 bits");
    }
    match index.value {
        Argument::Register(r) => Draft::Op(Op::LoadInd { size, src: cx.wide(&r), imm: 0 }),
        Argument::Address(r, off) => Draft::Op(Op::LoadInd { size, src: cx.wide(&r), imm: cx.int32(off) }),
        Argument::Number(n) => Draft::Op(Op::LoadAbs { size, imm: cx.int32(n) }),
        Argument::Memory(..) => {
            cx.problem(index.span, "expected a number or a register");
            Draft::Broken
        }
    }
}

pub(crate) fn store<'t>(cx: &mut Context<'t>, t: At<&'t str>, p: Address, v: Value<'t>) -> Draft<'t> {
    let size = unsigned(cx, &t);
    let src = match v {
        Value::Register(r) => Operand::Reg(carrier(cx, &r, size)),
        Value::Number(n) => Operand::Imm(cx.int32(n)),
    };
    Draft::Op(Op::Store { size, dst: p.base, src, off: p.off })
}

/// Atomic operations exist for 32 and 64 bits.
fn atomic_size(cx: &mut Context<'_>, t: &At<&str>) -> Size {
    let size = unsigned(cx, t);
    if !matches!(size, Size::W | Size::DW) {
        cx.problem(
            t.span.clone(),
            format!("atomic operations have 32 or 64 bits: expected u32 or u64, found `{}`", t.value),
        );
        return Size::W;
    }
    size
}

/// `lock *(u64 *)(r1 + 0) += r2`
pub(crate) fn atomic<'t>(
    cx: &mut Context<'t>,
    t: At<&'t str>,
    p: Address,
    sign: At<&'t str>,
    s: At<Register>,
) -> Draft<'t> {
    let size = atomic_size(cx, &t);
    let op = match sign.value {
        "+=" => AtomicOp::Add,
        "|=" => AtomicOp::Or,
        "&=" => AtomicOp::And,
        "^=" => AtomicOp::Xor,
        other => {
            cx.problem(sign.span, format!("expected `+=`, `|=`, `&=` or `^=`, found `{other}`"));
            AtomicOp::Add
        }
    };
    let src = carrier(cx, &s, size);
    Draft::Op(Op::Atomic { op, fetch: false, size, dst: p.base, src, off: p.off })
}

/// What can be done by name.
#[derive(Clone, Copy)]
enum Operation {
    Fetch(AtomicOp),
    Exchange(Option<Size>),
    CompareExchange(Option<Size>),
    LoadAcquire,
    StoreRelease,
    AddSpaceCast,
}

/// The names of llvm-objdump, then those of the kernel's log.
const OPERATIONS: [(&str, Operation); 19] = [
    ("atomic_fetch_add", Operation::Fetch(AtomicOp::Add)),
    ("atomic_fetch_or", Operation::Fetch(AtomicOp::Or)),
    ("atomic_fetch_and", Operation::Fetch(AtomicOp::And)),
    ("atomic_fetch_xor", Operation::Fetch(AtomicOp::Xor)),
    ("xchg_64", Operation::Exchange(Some(Size::DW))),
    ("xchg32_32", Operation::Exchange(Some(Size::W))),
    ("cmpxchg_64", Operation::CompareExchange(Some(Size::DW))),
    ("cmpxchg32_32", Operation::CompareExchange(Some(Size::W))),
    ("load_acquire", Operation::LoadAcquire),
    ("store_release", Operation::StoreRelease),
    ("addr_space_cast", Operation::AddSpaceCast),
    ("atomic64_fetch_add", Operation::Fetch(AtomicOp::Add)),
    ("atomic64_fetch_or", Operation::Fetch(AtomicOp::Or)),
    ("atomic64_fetch_and", Operation::Fetch(AtomicOp::And)),
    ("atomic64_fetch_xor", Operation::Fetch(AtomicOp::Xor)),
    ("atomic_xchg", Operation::Exchange(None)),
    ("atomic64_xchg", Operation::Exchange(None)),
    ("atomic_cmpxchg", Operation::CompareExchange(None)),
    ("atomic64_cmpxchg", Operation::CompareExchange(None)),
];

/// `r0 = atomic_fetch_add((u64 *)(r1 + 0), r0)` and its like.
pub(crate) fn operation<'t>(
    cx: &mut Context<'t>,
    d: Option<At<Register>>,
    f: At<&'t str>,
    args: Vec<At<Argument<'t>>>,
) -> Draft<'t> {
    let Some(&(_, operation)) = OPERATIONS.iter().find(|o| o.0 == f.value) else {
        let help = cx.problems.suggest(f.value, OPERATIONS.iter().map(|o| o.0));
        let help = help.or_else(|| Some("functions are called by `call NAME`, with arguments in r1 to r5".into()));
        cx.problem_with(f.span, format!("`{}` is no operation", f.value), help);
        return Draft::Broken;
    };
    // What the kernel's log writes, in its own registers.
    let logged = f.value.starts_with("atomic64_") || matches!(f.value, "atomic_xchg" | "atomic_cmpxchg");
    let form = match operation {
        Operation::LoadAcquire => "((TYPE *)(rX + OFFSET))",
        Operation::StoreRelease | Operation::Fetch(_) => "((TYPE *)(rX + OFFSET), REGISTER)",
        Operation::Exchange(Some(_)) => "(rX + OFFSET, REGISTER)",
        Operation::CompareExchange(Some(_)) => "(rX + OFFSET, r0, REGISTER)",
        Operation::Exchange(None) => "((TYPE *)(rX + OFFSET), REGISTER)",
        Operation::CompareExchange(None) => "((TYPE *)(rX + OFFSET), r0, REGISTER)",
        Operation::AddSpaceCast => "(rX, NUMBER, NUMBER)",
    };
    let returns = !matches!(operation, Operation::StoreRelease);
    let end = args.last().map_or(f.span.end, |a| a.span.end);
    let start = args.first().map_or(f.span.start, |a| a.span.start);
    let mut values = args.into_iter().map(|a| a.value);
    let parts = (values.next(), values.next(), values.next(), values.next());
    // A bare register is an address without an offset.
    let bare = |cx: &mut Context<'t>, a: Argument<'t>| match a {
        Argument::Register(r) => Ok(Address { base: cx.wide(&r), off: 0 }),
        Argument::Address(r, At { value, span }) => Ok(address(cx, r, At { value: Some(value), span })),
        other => Err(other),
    };
    use Argument::{Memory, Number, Register as Reg};
    let op = match (operation, d, parts) {
        (_, None, _) if returns => {
            cx.problem(f.span, format!("`{}` has a result: expected `REGISTER =` before it", f.value));
            return Draft::Broken;
        }
        (_, Some(d), _) if !returns => {
            cx.problem(d.span, format!("`{}` has no result", f.value));
            return Draft::Broken;
        }
        (Operation::LoadAcquire, Some(d), (Some(Memory(t, p)), None, ..)) => {
            let size = unsigned(cx, &t);
            let dst = cx.of_width(&d, view(size));
            Op::LoadAcquire { size, dst, src: p.base, off: p.off }
        }
        (Operation::StoreRelease, None, (Some(Memory(t, p)), Some(Reg(v)), None, _)) => {
            let size = unsigned(cx, &t);
            let src = cx.of_width(&v, view(size));
            Op::StoreRelease { size, dst: p.base, src, off: p.off }
        }
        (Operation::Fetch(op), Some(d), (Some(Memory(t, p)), Some(Reg(v)), None, _)) => {
            let size = atomic_size(cx, &t);
            let src = cx.of_width(&d, if logged { Width::W64 } else { view(size) });
            same(cx, &d, &v);
            Op::Atomic { op, fetch: true, size, dst: p.base, src, off: p.off }
        }
        (Operation::Exchange(size), Some(d), (Some(a), Some(Reg(v)), None, _)) => {
            let (size, p) = match (size, a) {
                (None, Memory(t, p)) => (atomic_size(cx, &t), p),
                (size, a) => match (size, bare(cx, a)) {
                    (Some(size), Ok(p)) => (size, p),
                    _ => return wrong_arguments(cx, start..end, &f, form),
                },
            };
            let src = cx.of_width(&d, if logged { d.value.width } else { view(size) });
            same(cx, &d, &v);
            Op::Atomic { op: AtomicOp::Xchg, fetch: true, size, dst: p.base, src, off: p.off }
        }
        (Operation::CompareExchange(size), Some(d), (Some(a), Some(Reg(old)), Some(Reg(v)), None)) => {
            let (size, p) = match (size, a) {
                (None, Memory(t, p)) => (atomic_size(cx, &t), p),
                (size, a) => match (size, bare(cx, a)) {
                    (Some(size), Ok(p)) => (size, p),
                    _ => return wrong_arguments(cx, start..end, &f, form),
                },
            };
            let width = if logged { d.value.width } else { view(size) };
            for r in [&d, &old] {
                if cx.of_width(r, width) != 0 {
                    let r0 = register_name(width, 0);
                    cx.problem(r.span.clone(), format!("compare and exchange works on {r0}: expected `{r0}`"));
                }
            }
            let src = cx.of_width(&v, width);
            Op::Atomic { op: AtomicOp::Cmpxchg, fetch: true, size, dst: p.base, src, off: p.off }
        }
        (Operation::AddSpaceCast, Some(d), (Some(Reg(s)), Some(Number(a)), Some(Number(b)), None)) => {
            let (dst, src) = (cx.wide(&d), cx.wide(&s));
            let (a, b) = (space(cx, a), space(cx, b));
            if !matches!((a, b), (0, 1) | (1, 0)) {
                cx.problem(start..end, "a cast goes between the address spaces 0 and 1");
                return Draft::Broken;
            }
            Op::AddrSpaceCast { dst, src, imm: u32::from(a) << 16 | u32::from(b) }
        }
        _ => return wrong_arguments(cx, start..end, &f, form),
    };
    Draft::Op(op)
}

fn wrong_arguments<'t>(cx: &mut Context<'t>, span: Range<usize>, f: &At<&str>, form: &str) -> Draft<'t> {
    cx.problem(span, format!("expected `{}{form}`", f.value));
    Draft::Broken
}

fn space<'t>(cx: &mut Context<'t>, n: At<Sum<'t>>) -> u16 {
    let number = cx.value(n.value);
    u16::try_from(number).unwrap_or_else(|_| {
        cx.problem(n.span, format!("address space {number} does not fit in 16 bits"));
        0
    })
}

/// `ld_pseudo r1, 1, 5`, as llvm-objdump writes a 64-bit load that is more than a number.
pub(crate) fn pseudo<'t>(
    cx: &mut Context<'t>,
    n: At<&'t str>,
    d: At<Register>,
    kind: At<Sum<'t>>,
    value: At<Sum<'t>>,
) -> Draft<'t> {
    if n.value != "ld_pseudo" {
        let help = Some("`.syntax mnemonic` chooses the other syntax".into());
        cx.problem_with(n.span, format!("`{}` is no instruction of pseudo-C", n.value), help);
        return Draft::Broken;
    }
    let dst = cx.wide(&d);
    let span = value.span.clone();
    let number = cx.value(value.value);
    let number = int64(cx, number, span.clone());
    let kind_span = kind.span.clone();
    let kind = cx.value(kind.value);
    let slots = [
        Insn::new(ebpfkit_isa::opcode::LD_IMM64, dst, (kind & 0xf) as u8, 0, number as i32),
        Insn::new(0, 0, 0, 0, (number >> 32) as i32),
    ];
    match ebpfkit_isa::decode(&slots, 0) {
        Ok((op, _)) if (0..16).contains(&kind) => Draft::Op(op),
        _ => {
            cx.problem(kind_span.start..span.end, format!("no 64-bit load has kind {kind} and number {number:#x}"));
            Draft::Broken
        }
    }
}
