//! Accesses to the stack.

use super::{bounds, general};
use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::source;
use crate::words;
use ebpfkit_isa::STACK_SIZE;
use ebpfkit_verifier::{RegState, RegType};

/// An access below, above or across the ends of the stack.
pub(crate) fn outside(case: &Case<'_>, reg: u8, off: i64, size: i64) -> Draft {
    let end = off.saturating_add(size);
    let callee = case.callee(case.at());
    let by = callee.as_deref().map(|c| format!("{c} accesses")).unwrap_or_else(|| "this accesses".into());
    let range = format!("fp{off:+} to fp{:+}", end - 1);
    let (headline, help) = if off < -(STACK_SIZE as i64) {
        (
            format!(
                "the stack has {STACK_SIZE} bytes; {by} {range}: {} too deep",
                words::bytes(-(STACK_SIZE as i64) - off)
            ),
            "the function's variables are too large together: move the largest to a per-CPU array map with one entry",
        )
    } else if end > 0 {
        (
            format!("{by} {} behind the end of the stack's variables ({range})", words::bytes(end.min(size))),
            "the access is longer than the variable: pass the size of the variable (`sizeof`), and bound what is added to its address",
        )
    } else {
        (format!("{by} the stack at {range}, which is not allowed here"), "access variables inside of their bounds")
    };
    let d = Draft::new(headline, format!("{} at fp{off:+}", words::bytes(size)));
    general::with_origin(case, d, &case.history(reg), &format!("r{reg}")).help(help)
}

/// An access at a place of the stack that a number decides.
pub(crate) fn variable(case: &Case<'_>, reg: u8, access: &str, size: Option<i64>) -> Draft {
    let history = case.history(reg);
    let state = case.reg(reg).copied().unwrap_or(RegState::UNKNOWN);
    let line = case.source(case.at());
    let found = bounds::index_of(case, &history);
    let what = line.as_ref().and_then(source::index_at).or_else(|| {
        let (e, r) = found?;
        case.name(&case.history_at(e.step, crate::origin::Location::Reg(r)))
    });
    let what = what.unwrap_or_else(|| "the index".into());
    let buffer = bounds::accessed(case).unwrap_or_else(|| "the buffer".into());
    let number = RegState { ty: RegType::SCALAR, ..state };
    let verb = if access.contains("write") { "written" } else { "read" };
    let bytes = size.map_or_else(String::new, |s| format!(" ({})", words::bytes(s)));
    let mut d = Draft::new(
        format!("{buffer} on the stack is {verb} at {what}, which is not bounded so that it stays inside{bytes}"),
        format!("{what} is {} here", words::scalar(&number)),
    );
    if let Some((e, r)) = found {
        d = bounds::story(case, d, e.step, r, &what);
    }
    d.help(format!("test {what} before the access, from both sides: `if ({what} < 0 || {what} >= sizeof({buffer})) return` (helpers that return a length return a negative number on errors), or mask it"))
}

/// An access that is not aligned to its size.
pub(crate) fn misaligned(case: &Case<'_>, what: &str, off: i64, size: u32) -> Draft {
    let insn = case.here();
    let reg = insn.memory_base().unwrap_or(insn.dst);
    let history = case.history(reg);
    let subject = bounds::accessed(case).or_else(|| case.name(&history)).unwrap_or_else(|| format!("r{reg}"));
    let target = if what.trim().is_empty() { "memory".to_owned() } else { what.trim().to_owned() };
    let rest = off.rem_euclid(i64::from(size.max(1)));
    let d = Draft::new(
        format!("{size} bytes are accessed at offset {off} of the {target}, which is {rest} past a multiple of {size}"),
        format!("an access of {size} bytes has to begin at a multiple of {size}"),
    );
    let d = general::with_origin(case, d, &history, &subject);
    d.blame(Blame::Compiler)
        .note("packed structs and buffers of bytes have no alignment of their own, and the compiler copies them in words where it takes them for aligned")
        .help("align the variable: `__attribute__((aligned(8)))`, or take `packed` from the struct")
        .help("or copy it byte by byte (`__builtin_memcpy` into an aligned variable)")
}
