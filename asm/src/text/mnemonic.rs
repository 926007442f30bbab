//! What mnemonics mean. Their names are made from the instruction table.

use super::cx::Context;
use super::pseudo_c::{self, Address};
use super::statement::{At, Draft, Register, Sum, Target, Wide};
use ebpfkit_isa::table::{Operation, ROWS};
use ebpfkit_isa::{AtomicOp, Op, Operand as Source, Size, Width};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// One operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand<'t> {
    Register(Register),
    /// A number, a label or a symbol.
    Number(Sum<'t>),
    /// `1f`
    Near(u32, bool),
    /// `[r1+4]`
    Memory(Address),
    /// `map[flows]`
    Wide(Wide<'t>),
}

/// What a mnemonic stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    kind: Operation,
    /// For stores: whether the value is a register.
    register: bool,
}

fn size_suffix(size: Size) -> &'static str {
    match size {
        Size::B => "b",
        Size::H => "h",
        Size::W => "w",
        Size::DW => "dw",
    }
}

/// How an instruction is called: its name, then other names that are read but not written.
pub(crate) fn names(kind: Operation, base: &str) -> Vec<String> {
    let by_width = |width: Width| match width {
        Width::W32 => vec![format!("{base}32")],
        Width::W64 => vec![base.to_owned(), format!("{base}64")],
    };
    match kind {
        Operation::Alu(_, width) | Operation::Neg(width) | Operation::Jmp(_, width) => by_width(width),
        Operation::Movsx(width, bits) => vec![format!("{base}x{bits}{}", if width == Width::W32 { 32 } else { 64 })],
        Operation::Endian(_, bits) => vec![format!("{base}{bits}")],
        Operation::Bswap(bits) => vec![format!("{base}{bits}"), format!("swap{bits}")],
        Operation::LoadAbs(size)
        | Operation::LoadInd(size)
        | Operation::Load(size, false)
        | Operation::Store(size)
        | Operation::LoadAcquire(size)
        | Operation::StoreRelease(size) => vec![format!("{base}{}", size_suffix(size))],
        Operation::Load(size, true) => {
            vec![format!("{base}{}", size_suffix(size)), format!("ldsx{}", size_suffix(size))]
        }
        Operation::Ja(true) => vec![base.to_owned(), "ja32".into(), "gotol".into()],
        Operation::Ja(false) => vec![base.to_owned(), "goto".into()],
        // Written behind `lock`, or in forms of their own.
        Operation::Atomic(..)
        | Operation::CallHelper
        | Operation::CallLocal
        | Operation::CallKfunc
        | Operation::CallReg
        | Operation::GotoX => vec![],
        Operation::LoadImm64(_) | Operation::AddrSpaceCast | Operation::MayGoto | Operation::Exit => {
            vec![base.to_owned()]
        }
    }
}

static FORMS: LazyLock<FxHashMap<String, Form>> = LazyLock::new(|| {
    let mut forms = FxHashMap::default();
    for row in &ROWS {
        let form = Form { kind: row.kind, register: row.name == "stx" };
        for name in names(row.kind, row.name) {
            forms.entry(name).or_insert(form);
        }
    }
    forms
});

/// Whether an instruction is called so.
pub(crate) fn is_mnemonic(name: &str) -> bool {
    FORMS.contains_key(name)
}

/// A register of a 64-bit operation, or of a 32-bit one, where `w` may be written too.
fn register<'t>(cx: &mut Context<'t>, r: Register, span: &Range<usize>, width: Width) -> u8 {
    let at = At { value: r, span: span.clone() };
    if width == Width::W64 { cx.wide(&at) } else { cx.register(&at) }
}

/// Where an operand points, if it can.
fn target<'t>(cx: &mut Context<'t>, o: At<Operand<'t>>) -> Option<At<Target<'t>>> {
    let span = o.span;
    let value = match o.value {
        Operand::Near(number, forward) => Target::Near(number, forward),
        Operand::Number(Sum { name: Some(name), number: 0, .. }) => Target::Label(name.value),
        Operand::Number(sum) => Target::Distance(cx.value(sum)),
        _ => return None,
    };
    Some(At { value, span })
}

fn number<'t>(sum: Sum<'t>, span: &Range<usize>) -> At<Sum<'t>> {
    At { value: sum, span: span.clone() }
}

/// What the operands of a mnemonic look like.
fn usage(name: &str, form: Form) -> String {
    let operands = match form.kind {
        Operation::Alu(..) => "rD, rS or NUMBER",
        Operation::Movsx(..) => "rD, rS",
        Operation::Neg(_) | Operation::Endian(..) | Operation::Bswap(_) => "rD",
        Operation::AddrSpaceCast => "rD, rS, NUMBER, NUMBER",
        Operation::LoadImm64(_) => "rD, NUMBER or SYMBOL",
        Operation::LoadAbs(_) => "NUMBER",
        Operation::LoadInd(_) => "rS, NUMBER",
        Operation::Load(..) | Operation::LoadAcquire(_) => "rD, [rS+OFFSET]",
        Operation::Store(_) if form.register => "[rD+OFFSET], rS",
        Operation::Store(_) => "[rD+OFFSET], NUMBER",
        Operation::StoreRelease(_) => "[rD+OFFSET], rS",
        Operation::Ja(_) | Operation::MayGoto => "LABEL",
        Operation::Jmp(..) => "rD, rS or NUMBER, LABEL",
        _ => "",
    };
    format!("{name} {operands}").trim_end().to_owned()
}

/// An instruction by its mnemonic.
pub(crate) fn instruction<'t>(
    cx: &mut Context<'t>,
    span: Range<usize>,
    name: At<&'t str>,
    operands: Vec<At<Operand<'t>>>,
) -> Draft<'t> {
    let Some(&form) = FORMS.get(name.value) else {
        let others = ["call", "callx", "gotox", "lock"];
        let names = FORMS.keys().map(String::as_str).chain(others);
        let help = cx.problems.suggest(name.value, names);
        cx.problem_with(name.span, format!("`{}` is no instruction", name.value), help);
        return Draft::Broken;
    };
    let text = name.value;
    let wrong = |cx: &mut Context<'t>| {
        cx.problem(span.clone(), format!("expected `{}`", usage(text, form)));
        Draft::Broken
    };
    use Operand::{Memory, Number, Register as Reg};
    let mut spans = operands.iter().map(|o| o.span.clone());
    let (a_span, b_span) = (spans.next().unwrap_or(0..0), spans.next().unwrap_or(0..0));
    let mut rest = operands.into_iter();
    let mut next = || rest.next();
    let (a, b, c, d) = (next(), next(), next(), next());
    if next().is_some() {
        return wrong(cx);
    }
    let value = |o: &Option<At<Operand<'t>>>| o.as_ref().map(|o| o.value.clone());
    Draft::Op(match (form.kind, value(&a), value(&b), c, d) {
        (Operation::Alu(op, width), Some(Reg(dst)), Some(Reg(src)), None, None) => {
            let dst = register(cx, dst, &a_span, width);
            Op::Alu { op, width, dst, src: Source::Reg(register(cx, src, &b_span, width)) }
        }
        (Operation::Alu(op, width), Some(Reg(dst)), Some(Number(n)), None, None) => {
            let dst = register(cx, dst, &a_span, width);
            Op::Alu { op, width, dst, src: Source::Imm(cx.int32(number(n, &b_span))) }
        }
        (Operation::Movsx(width, bits), Some(Reg(dst)), Some(Reg(src)), None, None) => {
            let (dst, src) = (register(cx, dst, &a_span, width), register(cx, src, &b_span, width));
            Op::Movsx { width, bits, dst, src }
        }
        (Operation::Neg(width), Some(Reg(dst)), None, None, None) => {
            Op::Neg { width, dst: register(cx, dst, &a_span, width) }
        }
        (Operation::Endian(big, bits), Some(Reg(dst)), None, None, None) => {
            Op::Endian { big, bits, dst: register(cx, dst, &a_span, Width::W64) }
        }
        (Operation::Bswap(bits), Some(Reg(dst)), None, None, None) => {
            Op::Bswap { bits, dst: register(cx, dst, &a_span, Width::W64) }
        }
        (Operation::AddrSpaceCast, Some(Reg(dst)), Some(Reg(src)), Some(from), Some(to)) => {
            let (Number(from), Number(to)) = (from.value, to.value) else { return wrong(cx) };
            let (dst, src) = (register(cx, dst, &a_span, Width::W64), register(cx, src, &b_span, Width::W64));
            let imm = match (cx.value(from), cx.value(to)) {
                (0, 1) => 1,
                (1, 0) => 1 << 16,
                _ => {
                    cx.problem(span, "a cast goes between the address spaces 0 and 1");
                    return Draft::Broken;
                }
            };
            Op::AddrSpaceCast { dst, src, imm }
        }
        (Operation::LoadImm64(_), Some(Reg(dst)), Some(Number(n)), None, None) => {
            let dst = register(cx, dst, &a_span, Width::W64);
            return pseudo_c::wide_number(cx, dst, number(n, &b_span));
        }
        (Operation::LoadImm64(_), Some(Reg(dst)), Some(Operand::Wide(w)), None, None) => {
            let dst = register(cx, dst, &a_span, Width::W64);
            return Draft::Wide(dst, At { value: w, span: b_span });
        }
        (Operation::LoadAbs(size), Some(Number(n)), None, None, None) => {
            Op::LoadAbs { size, imm: cx.int32(number(n, &a_span)) }
        }
        (Operation::LoadInd(size), Some(Reg(src)), Some(Number(n)), None, None) => {
            let src = register(cx, src, &a_span, Width::W64);
            Op::LoadInd { size, src, imm: cx.int32(number(n, &b_span)) }
        }
        (Operation::LoadInd(size), Some(Reg(src)), None, None, None) => {
            Op::LoadInd { size, src: register(cx, src, &a_span, Width::W64), imm: 0 }
        }
        (Operation::Load(size, signed), Some(Reg(dst)), Some(Memory(p)), None, None) => {
            let dst = register(cx, dst, &a_span, if signed { Width::W64 } else { pseudo_c::view(size) });
            Op::Load { size, signed, dst, src: p.base, off: p.off }
        }
        (Operation::LoadAcquire(size), Some(Reg(dst)), Some(Memory(p)), None, None) => {
            let dst = register(cx, dst, &a_span, pseudo_c::view(size));
            Op::LoadAcquire { size, dst, src: p.base, off: p.off }
        }
        (Operation::Store(size), Some(Memory(p)), Some(Reg(src)), None, None) if form.register => {
            let src = Source::Reg(register(cx, src, &b_span, pseudo_c::view(size)));
            Op::Store { size, dst: p.base, src, off: p.off }
        }
        (Operation::Store(size), Some(Memory(p)), Some(Number(n)), None, None) if !form.register => {
            let src = Source::Imm(cx.int32(number(n, &b_span)));
            Op::Store { size, dst: p.base, src, off: p.off }
        }
        (Operation::StoreRelease(size), Some(Memory(p)), Some(Reg(src)), None, None) => {
            let src = register(cx, src, &b_span, pseudo_c::view(size));
            Op::StoreRelease { size, dst: p.base, src, off: p.off }
        }
        (Operation::Ja(_) | Operation::MayGoto, Some(_), None, None, None) => {
            let op = match form.kind {
                Operation::Ja(long) => Op::Ja { off: 0, long },
                _ => Op::MayGoto { off: 0 },
            };
            return match a.and_then(|a| target(cx, a)) {
                Some(to) => Draft::Jump(op, to),
                None => wrong(cx),
            };
        }
        (Operation::Jmp(op, width), Some(Reg(dst)), Some(b), Some(to), None) => {
            let dst = register(cx, dst, &a_span, width);
            let src = match b {
                Reg(src) => Source::Reg(register(cx, src, &b_span, width)),
                Number(n) => Source::Imm(cx.int32(number(n, &b_span))),
                _ => return wrong(cx),
            };
            return match target(cx, to) {
                Some(to) => Draft::Jump(Op::Jmp { op, width, dst, src, off: 0 }, to),
                None => wrong(cx),
            };
        }
        (Operation::Exit, None, None, None, None) => Op::Exit,
        _ => return wrong(cx),
    })
}

/// The operations behind `lock`.
pub(crate) const ATOMICS: [(&str, AtomicOp, bool); 11] = [
    ("add", AtomicOp::Add, false),
    ("or", AtomicOp::Or, false),
    ("and", AtomicOp::And, false),
    ("xor", AtomicOp::Xor, false),
    ("fetch_add", AtomicOp::Add, true),
    ("fetch_or", AtomicOp::Or, true),
    ("fetch_and", AtomicOp::And, true),
    ("fetch_xor", AtomicOp::Xor, true),
    ("xchg", AtomicOp::Xchg, true),
    ("cmpxchg", AtomicOp::Cmpxchg, true),
    ("xadd", AtomicOp::Add, false),
];

/// `lock fetch_add32 [r1+4], r2`, also written `lock fetch add32`.
pub(crate) fn atomic<'t>(
    cx: &mut Context<'t>,
    fetch: Option<At<&'t str>>,
    name: At<&'t str>,
    p: Address,
    s: At<Register>,
) -> Draft<'t> {
    let prefixed = fetch.is_some();
    if let Some(word) = fetch.filter(|f| f.value != "fetch") {
        cx.problem(word.span, format!("expected `fetch` or an operation, found `{}`", word.value));
        return Draft::Broken;
    }
    let (base, size) = match (name.value.strip_suffix("32"), name.value.strip_suffix("64")) {
        (Some(base), _) => (base, Size::W),
        (_, Some(base)) => (base, Size::DW),
        _ => (name.value, Size::DW),
    };
    let Some(&(_, op, fetches)) = ATOMICS.iter().find(|a| a.0 == base) else {
        let help = cx.problems.suggest(base, ATOMICS.iter().map(|a| a.0));
        cx.problem_with(name.span, format!("`{}` is no atomic operation", name.value), help);
        return Draft::Broken;
    };
    let src = register(cx, s.value, &s.span, pseudo_c::view(size));
    Draft::Op(Op::Atomic { op, fetch: fetches || prefixed, size, dst: p.base, src, off: p.off })
}
