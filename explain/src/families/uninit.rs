//! Registers and stack bytes that nothing has set.

use super::sizes;
use crate::case::{Case, Draft};
use crate::diagnosis::Blame;
use crate::origin::{How, Location};
use crate::source::{self, SourceLine};
use crate::words;
use ebpfkit_abi::{Callers, ProgType, helpers};
use ebpfkit_isa::opcode;

/// A register that has no value.
pub(crate) fn register(case: &Case<'_>, reg: u8) -> Draft {
    let history = case.history(reg);
    let insn = case.here();
    let last = history.last();
    let is_exit = insn.code == opcode::EXIT;
    if let Some(e) = history.iter().find(|e| e.how == How::Clobbered) {
        return clobbered(case, reg, case.event_insn(e), e.step);
    }
    let start = last.map_or(0, |e| case.trace.steps.get(e.step + usize::from(e.step != 0)).map_or(0, |s| s.insn));
    let start = case.function_start(if case.is_reached() { case.at() } else { start });
    let function = case.function_at(start).unwrap_or_else(|| "the function".into());
    if reg == 0 && is_exit {
        let main = start == case.trace.start;
        let what = if main { "the program" } else { "the function" };
        let d =
            Draft::new(format!("{what} returns without a value on this path"), "returns here, and r0 was never set");
        return decider(case, d).help("return a value on every path (`return 0;`)");
    }
    if insn.is_call() {
        return missing_argument(case, reg);
    }
    let params = case.params(start);
    let is_param = (1..=5).contains(&reg)
        && history
            .iter()
            .all(|e| matches!(e.how, How::NeverSet | How::Copied | How::Spilled | How::Filled | How::Narrow { .. }));
    let original = match last.map(|e| e.location) {
        Some(Location::Reg(r)) => r,
        _ => reg,
    };
    let name = params.get(usize::from(original).wrapping_sub(1)).map(|p| p.0.clone()).filter(|n| !n.is_empty());
    if is_param && name.is_some() {
        return parameter(case, original, start, &function, name, params.len());
    }
    let text = case.text(case.at());
    let shown = text.trim();
    let d = Draft::new(
        format!("a value is used here that was never set on this path (r{reg})"),
        if shown.is_empty() {
            format!("r{reg} was never set")
        } else {
            "reads a value that nothing has set on this path".into()
        },
    );
    decider(case, d)
        .note("a variable without a value on some path, or code whose behaviour C leaves undefined: the compiler leaves the register as it is")
        .help("give the variable a value where it is declared, or on every path that leads here")
}

/// A parameter of the main program that no kernel passes.
fn parameter(case: &Case<'_>, reg: u8, start: usize, function: &str, name: Option<String>, count: usize) -> Draft {
    let shown = name.clone().unwrap_or_else(|| format!("r{reg}"));
    let is_main = start == case.trace.start;
    if !is_main {
        let d = Draft::new(
            format!("{function} takes {count} arguments, and {shown} is not among what it was given"),
            format!("{shown} was never set"),
        );
        return d.span(case.span(start, format!("{function} begins here"))).help(format!("pass {shown} in the call"));
    }
    let kind = case.program.prog_type;
    let (what, remedy): (&str, String) = match kind {
        ProgType::Kprobe => (
            "kprobes and uprobes receive one argument, the registers",
            format!("declare it with the macro BPF_KPROBE({function}, ...), which takes the arguments from the registers, or use PT_REGS_PARM{}(ctx)", reg.saturating_sub(1)),
        ),
        ProgType::Tracing | ProgType::Lsm | ProgType::RawTracepoint | ProgType::RawTracepointWritable | ProgType::StructOps => (
            "this kind of program receives one argument, an array of the traced function's arguments",
            format!("declare it with the macro BPF_PROG({function}, ...), which takes them out of the array"),
        ),
        ProgType::Tracepoint => (
            "tracepoint programs receive one argument, the record of the tracepoint",
            "declare one parameter, a pointer to the tracepoint's struct (`struct trace_event_raw_...`), and read its fields".into(),
        ),
        _ => ("programs receive one argument, the context", "take everything from the context, or from maps".into()),
    };
    let d = Draft::new(
        format!("{what}: {shown}, the {} parameter of {function}, is never set", words::ordinal(reg.into())),
        format!("{shown} is used here, and nothing has set it"),
    );
    d.span(case.span(start, format!("{function} is declared with {count} parameters; only the first (r1) is passed")))
        .help(remedy)
}

/// An argument of a call that was never set.
fn missing_argument(case: &Case<'_>, reg: u8) -> Draft {
    let callee = case.callee(case.at()).unwrap_or_else(|| "this call".into());
    let insn = case.here();
    let row = u32::try_from(insn.imm).ok().filter(|_| insn.src == 0).and_then(helpers::find);
    let kind = Callers::of(case.program.prog_type, case.program.attach_type);
    let takes = row.and_then(|h| h.prototype(kind)).map(|p| p.arg_count());
    let takes =
        takes.map_or_else(|| "takes more arguments than it is given".to_owned(), |n| format!("takes {n} arguments"));
    let d = Draft::new(
        format!("{callee} {takes}; the {} (r{reg}) was never set", words::ordinal(reg.into())),
        format!("r{reg} holds nothing here"),
    );
    let d = match sizes::argument_text(case, reg) {
        Some(text) => d.note(format!(
            "the {} argument is written as `{text}`: that variable has no value on this path",
            words::ordinal(reg.into())
        )),
        None => d.note("a prototype that was declared by hand may have too few parameters"),
    };
    decider(case, d).help(format!("pass all arguments to {callee}, with values that are set on every path; take its declaration from bpf_helpers.h"))
}

/// A call has left nothing in the register.
fn clobbered(case: &Case<'_>, reg: u8, call: usize, step: usize) -> Draft {
    let callee = case.callee(call).unwrap_or_else(|| "a call".into());
    let held = case.trace.reg(step, reg).filter(|r| r.ty != ebpfkit_verifier::RegType::NOT_INIT);
    let name = case.name(&case.history_at(step, Location::Reg(reg)));
    let shown = name.unwrap_or_else(|| format!("r{reg}"));
    let mut d = Draft::new(
        format!("{shown} is used after {callee} at {}: no call leaves anything in r1 to r5", case.line_of(call)),
        format!("r{reg} is read here"),
    );
    d = d.span(case.span(call, format!("{callee} leaves nothing in r1 to r5")));
    if let Some(r) = held {
        d = d.note(format!("before the call r{reg} held {}", words::value(case, r)));
    }
    if case.source(call).is_some() && !case.here().is_call() {
        d = d.blame(Blame::Program);
    }
    d.help(format!(
        "keep what must survive a call in r6 to r9 or on the stack: `r6 = r{reg}` before the call, and use r6 after it"
    ))
}

/// The branch that led to a path on which something was left out.
fn decider(case: &Case<'_>, d: Draft) -> Draft {
    let Some(last) = case.step() else { return d };
    let depth = case.trace.steps[last].depth;
    let found = (0..last).rev().find(|&s| {
        let insn = case.insn(case.trace.steps[s].insn);
        case.trace.steps[s].depth == depth
            && insn.is_jump_class()
            && !insn.is_call()
            && insn.successors(0).jump.is_some()
            && insn.successors(0).fallthrough.is_some()
    });
    match found {
        Some(s) => {
            let at = case.trace.steps[s].insn;
            let taken = case.trace.steps.get(s + 1).is_some_and(|n| n.insn != at + 1);
            d.span(case.span(at, format!("the path that fails {} here", if taken { "jumps" } else { "goes on" })))
        }
        None => d,
    }
}

/// Stack bytes that were never written, or belong to an object.
pub(crate) fn stack(case: &Case<'_>, off: Option<i64>, size: i64, reader: Option<u8>) -> Draft {
    if let Some(d) = super::stack::relocated(case).filter(|_| reader.is_none()) {
        return d;
    }
    let callee = case.callee(case.at());
    let reads = match (&callee, reader) {
        (Some(c), Some(r)) => {
            format!("{c} reads {} of the stack through its {} argument", words::bytes(size), words::ordinal(r.into()))
        }
        _ => format!("{} read from the stack", words::are(size)),
    };
    let at = off.map(|o| format!(", fp{o:+},")).unwrap_or_default();
    let text = reader.and_then(|r| sizes::argument_text(case, r));
    let what = text.map(|t| t.trim_start_matches('&').to_owned()).filter(|t| sizes::is_simple(t));
    let shown = what.clone().unwrap_or_else(|| "the buffer".into());
    let d = Draft::new(
        format!("{reads}, of which at least one byte{at} was never written"),
        format!("{shown} is not set to its end here"),
    );
    let d = d.note(
        "padding between the members of a struct counts too, and so do bytes of an array that a shorter string leaves",
    );
    decider(case, d).help(format!(
        "set all of it first: `{} = {{}};` (or `__builtin_memset(&{0}, 0, sizeof({0}))`, which also sets padding)",
        what.unwrap_or_else(|| "buf".into())
    ))
}

/// The compiler has put a trap where the source says that nothing comes, or where what is done has no meaning.
pub(crate) fn trap(case: &Case<'_>) -> Draft {
    let said = case.text(case.at()).contains("unreachable");
    let d = match said {
        true => Draft::new(
            "the source says that nothing comes here (__builtin_unreachable), and the verifier finds a path that does",
            "this is reached",
        ),
        false => Draft::new(
            "the compiler saw that this path uses a value that was never set, and ended it with a trap",
            "the path ends here",
        ),
    };
    let mut d = decider(case, d);
    if said {
        return d.help("return a value here");
    }
    let unset = declared_unset(case);
    for (line, name) in &unset {
        d.spans.extend(case.span_at(&line.file, line.line, format!("{name} has no value from here on")));
    }
    match unset.as_slice() {
        [(line, name)] => {
            d.headline = format!("{name} is used before it has a value: the compiler ended this path with a trap");
            d.help(format!("give it one where it is declared, at line {}: `{name} = {{}}` or `{name} = 0`; or set it before it is used, on every path", line.line))
        }
        _ => d.help("set the variable on every path; compile with -Wall to see which one it is"),
    }
}

/// Variables of the function that are declared without a value, and are read or passed before a line gives them one.
fn declared_unset(case: &Case<'_>) -> Vec<(SourceLine, String)> {
    let Some(file) = case.main_file() else { return Vec::new() };
    let lines = case.function_lines(case.at());
    let mut out = Vec::new();
    for (n, (number, text)) in lines.iter().enumerate() {
        let Some(declared) = text.trim().strip_suffix(';') else { continue };
        // A type, then names: no assignment, call or statement.
        let words: Vec<&str> = declared.split_whitespace().collect();
        let first = words.first().copied().unwrap_or_default();
        let statement = ["return", "goto", "break", "continue", "else", "case"].contains(&first);
        if words.len() < 2 || declared.contains(['=', '(', '>', '+']) || statement {
            continue;
        }
        let names = declared.split(',').filter_map(|part| {
            let part = part.split('[').next()?.trim();
            let name = source::last_word(part)?;
            (!part.contains('*')).then_some(name)
        });
        for name in names {
            let Some((_, used)) = lines[n + 1..].iter().find(|(_, t)| source::find_word(t, &name).is_some()) else {
                continue;
            };
            let at = source::find_word(used, &name).unwrap_or(0);
            let after = used[at + name.len()..].trim_start();
            let set = after.starts_with('=') && !after.starts_with("==");
            let filled = used[..at].ends_with('&') || used[..at].ends_with(['(', ' ']) && used[..at].contains("bpf_");
            if !set && !filled {
                let line = SourceLine { file: file.to_owned(), line: *number, column: 0, text: text.to_string() };
                out.push((line, name));
            }
        }
    }
    out
}
