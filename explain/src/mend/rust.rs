//! Edits of lines of Rust.

use super::patch::Edit;
use super::{Mend, plain};
use crate::case::{Case, exit_value};
use crate::diagnosis::SourceEdit;
use crate::families::{Check, Panics, check_at, failing_check};
use crate::source::{SourceLine, find_word};
use ebpfkit_isa::Insn;

/// The indentation of a line.
fn indent(text: &str) -> &str {
    &text[..text.len() - text.trim_start().len()]
}

/// The head of the function around a line: from `fn` to the brace.
fn head(case: &Case<'_>, line: &SourceLine) -> Option<String> {
    let lines = case.file(&line.file)?;
    let first = (0..line.line as usize).rev().find(|&n| lines.get(n).is_some_and(|t| find_word(t, "fn").is_some()))?;
    let mut text = String::new();
    for n in first..(first + 12).min(lines.len()) {
        text += lines.get(n)?;
        if text.contains('{') {
            break;
        }
    }
    Some(text)
}

/// What the function around a line returns where it gives up, as an expression behind `return`; empty where it returns
/// nothing.
fn given_up(case: &Case<'_>, line: &SourceLine, step: usize) -> Option<String> {
    let head = head(case, line)?;
    let Some((_, kind)) = head.split_once("->") else { return Some(String::new()) };
    let kind = kind.split('{').next()?.split(" where ").next()?.trim();
    if kind.starts_with("Option<") {
        return Some(" None".into());
    }
    if let Some(inner) = kind.strip_prefix("Result<") {
        let error = inner.trim_end_matches('>').rsplit(',').next()?.trim();
        return match error {
            "()" => Some(" Err(())".into()),
            "u32" | "i32" | "u64" | "i64" | "c_long" | "usize" => Some(" Err(1)".into()),
            _ => None,
        };
    }
    let own =
        find_word(&head, &case.function_at(case.trace.start).unwrap_or_else(|| case.program.name.clone())).is_some();
    let number = ["i32", "u32", "i64", "u64", "c_int", "usize", "u8", "u16"].contains(&kind);
    match kind {
        "bool" => Some(" false".into()),
        _ if number => Some(format!(" {}", if own { exit_value(case, step) } else { 0 })),
        _ => None,
    }
}

/// A comparison of C as it is written in Rust.
fn condition(case: &Case<'_>, line: &SourceLine, condition: &str) -> String {
    if let Some(pointer) = condition.strip_prefix('!') {
        return format!("{pointer}.is_null()");
    }
    let Some((name, _)) = condition.split_once([' ', ')']) else { return condition.to_owned() };
    let rest = condition.strip_prefix(&format!("{name} < 0 || ")).unwrap_or(condition);
    let unsigned = case.file(&line.file).is_some_and(|lines| {
        let mut all = lines.with_word(name).filter_map(|n| lines.get(n));
        all.any(|t| {
            ["usize", "u64", "u32", "u16", "u8"].iter().any(|k| {
                t.contains(&format!("{name}: {k}"))
                    || t.contains(&format!("let {name} =")) && t.contains(&format!("as {k};"))
            })
        })
    });
    if unsigned || rest.len() == condition.len() {
        rest.to_owned()
    } else {
        rest.replacen(name, &format!("({name} as u64)"), 1)
    }
}

/// Statements that leave the function around a line where a comparison holds.
pub(crate) fn leaving(case: &Case<'_>, line: &SourceLine, step: usize, condition: &str) -> Option<Vec<String>> {
    let value = given_up(case, line, step)?;
    Some(vec![
        format!("if {} {{", self::condition(case, line, condition)),
        format!("    return{value};"),
        "}".to_owned(),
    ])
}

/// Whether a statement may come before a line: what stands there begins one.
pub(crate) fn may_insert_before(case: &Case<'_>, line: &SourceLine) -> bool {
    let Some(lines) = case.file(&line.file) else { return false };
    let text = line.text.trim_start();
    if text.starts_with(['.', '}', ')', '+', '-', '|', '&', '?']) && !text.starts_with("&mut") || text.contains("=>") {
        return false;
    }
    let before = (0..(line.line as usize).saturating_sub(1)).rev().filter_map(|n| lines.get(n));
    match before.map(str::trim).find(|t| !t.is_empty() && !t.starts_with("//")) {
        // A block, and no list of fields or cases.
        Some(t) if t.ends_with('{') => {
            let opens = ["fn ", "if ", "for ", "while ", "loop", "unsafe", "else"].iter().any(|w| t.contains(w));
            opens && !t.contains("match ") && !t.contains("let ")
        }
        Some(t) => t.ends_with(';') || t == "}",
        None => false,
    }
}

/// Puts statements before a line.
pub(crate) fn before(case: &Case<'_>, line: &SourceLine, statements: &[String]) -> Option<SourceEdit> {
    if !may_insert_before(case, line) || line.line == 0 {
        return None;
    }
    let pad = indent(&line.text);
    let mut new: Vec<String> = statements.iter().map(|s| format!("{pad}{s}")).collect();
    new.push(line.text.clone());
    Some(SourceEdit { file: line.file.clone(), line: line.line, old: line.text.clone(), new })
}

/// Puts statements behind a line that is one whole statement.
pub(crate) fn after(line: &SourceLine, statements: &[String]) -> Option<SourceEdit> {
    let text = line.text.trim();
    if line.line == 0 || !text.starts_with("let ") || !text.ends_with(';') {
        return None;
    }
    let pad = indent(&line.text);
    let mut new = vec![line.text.clone()];
    new.extend(statements.iter().map(|s| format!("{pad}{s}")));
    Some(SourceEdit { file: line.file.clone(), line: line.line, old: line.text.clone(), new })
}

/// `let name = value.unwrap();`, taken apart.
fn taken_apart(case: &Case<'_>, line: &SourceLine, step: usize, call: &str) -> Option<SourceEdit> {
    let text = line.text.trim();
    let (name, value) = text.strip_prefix("let ")?.split_once(" = ")?;
    let name = name.split(':').next()?.trim();
    let at = value.rfind(&format!(".{call}("))?;
    let rest = &value[at..];
    let close = rest.find(')')? + 1;
    let (value, behind) = (&value[..at], rest[close..].trim());
    // Inside of an unsafe block that has nothing else in it.
    let (value, whole) = match (value.strip_prefix("unsafe {"), behind) {
        (Some(inner), "};") => (inner.trim(), true),
        (None, ";") => (value, false),
        _ => return None,
    };
    let option =
        ["get(", "get_mut(", "get_ptr(", "get_ptr_mut(", "lookup(", "first(", "next(", "ptr_at", "as_ref(", "as_mut("];
    let result = ["read_kernel", "read_user", "ctx.load(", "bpf_probe", "try_"];
    let variant = match () {
        _ if option.iter().any(|o| value.contains(o)) => "Some",
        _ if result.iter().any(|r| value.contains(r)) => "Ok",
        _ => return None,
    };
    let value = if whole && call != "unwrap_unchecked" { format!("unsafe {{ {value} }}") } else { value.to_owned() };
    let leave = given_up(case, line, step)?;
    let new = format!("{}let {variant}({name}) = {value} else {{ return{leave} }};", indent(&line.text));
    Some(SourceEdit { file: line.file.clone(), line: line.line, old: line.text.clone(), new: vec![new] })
}

/// The line where a variable is taken out of an option without a look, taken apart.
pub(crate) fn looked_at(case: &Case<'_>, step: usize, name: &str) -> Option<SourceEdit> {
    let file = case.main_file()?;
    let lines = case.file(file)?;
    let is_it = |t: &str| t.trim_start().starts_with(&format!("let {name} ")) && t.contains(".unwrap_unchecked()");
    let n = lines.with_word(name).find(|&n| lines.get(n).is_some_and(is_it))?;
    let line = SourceLine { file: file.to_owned(), line: n as u32 + 1, column: 0, text: lines.get(n)?.to_owned() };
    taken_apart(case, &line, step, "unwrap_unchecked")
}

/// The comparison of an offset with the end of the packet in a function for any type, with the type's size.
pub(crate) fn whole_type(case: &Case<'_>, check: usize) -> Option<SourceEdit> {
    let line = case.source(check)?;
    let head = head(case, &line)?;
    let generic = head.split_once("fn ")?.1.split('(').next()?.split_once('<')?.1.trim_end_matches('>').to_owned();
    let kind = generic.split([',', ':']).next()?.trim().to_owned();
    if !kind.chars().all(char::is_alphanumeric) || line.text.contains("size_of") {
        return None;
    }
    let (left, _) = line.text.split_once(" > ")?;
    let new = line.text.replacen(" > ", &format!(" + core::mem::size_of::<{kind}>() > "), 1);
    let plain = left.trim_start().starts_with("if ") && left.contains(" + ") && line.text.matches(" > ").count() == 1;
    plain.then(|| SourceEdit { file: line.file.clone(), line: line.line, old: line.text.clone(), new: vec![new] })
}

/// Returns where a check fails that would panic: the panic handler's loop becomes a return.
pub(crate) fn panics(case: &Case<'_>, endless: usize, leave: &[Insn], out: &mut Vec<Mend>) {
    let Some(Check { step, line, what }) = failing_check(case) else { return };
    let (text, edit) = instead(case, &line, step, &what);
    // All checks that lead there.
    let checks = leading(case, endless);
    let mut edits: Vec<Option<SourceEdit>> = vec![edit];
    for at in checks.iter().filter(|&&c| c != case.trace.steps[step].insn) {
        edits.push(check_at(case, *at).and_then(|(line, what)| instead(case, &line, step, &what).1));
    }
    let lines: Option<Vec<SourceEdit>> = edits.into_iter().collect();
    let mut mend = Mend::new(text, vec![Edit::Replace(endless, plain(leave.to_vec()))]);
    for edit in lines.into_iter().flatten() {
        if !mend.source.contains(&edit) {
            mend.source.push(edit);
        }
    }
    out.push(mend);
}

/// The conditional jumps from which straight code leads to an instruction.
fn leading(case: &Case<'_>, to: usize) -> Vec<usize> {
    let insns = &case.program.insns;
    let mut out = Vec::new();
    let mut ahead = vec![to];
    let mut seen = vec![to];
    while let Some(at) = ahead.pop() {
        for (from, insn) in insns.iter().enumerate() {
            let next = insn.successors(from);
            let calls = insn.is_local_call() && insn.function(from) == Some(at as i64);
            if next.jump != Some(at as i64) && next.fallthrough != Some(at) && !calls || seen.contains(&from) {
                continue;
            }
            seen.push(from);
            match next.jump.is_some() && next.fallthrough.is_some() && !insn.is_call() {
                true => out.push(from),
                false => ahead.push(from),
            }
        }
    }
    out
}

/// What to do in the place of a check that panics.
fn instead(case: &Case<'_>, line: &SourceLine, step: usize, what: &Panics) -> (String, Option<SourceEdit>) {
    let first = |condition: &str| before(case, line, &leaving(case, line, step, condition)?);
    match what {
        Panics::Index { array, index } => (
            format!("leave where {index} is not below the length of {array}"),
            first(&format!("{index} >= {array}.len()")),
        ),
        Panics::Range { array, from, to } => {
            let condition = match (from.as_str(), to.as_str()) {
                ("" | "0", to) => format!("{to} > {array}.len()"),
                (from, "") => format!("{from} > {array}.len()"),
                (from, to) => format!("{from} > {to} || {to} > {array}.len()"),
            };
            (format!("leave where {from}..{to} is no range of {array}"), first(&condition))
        }
        Panics::Division { by } => (format!("leave where {by} is zero"), first(&format!("{by} == 0"))),
        Panics::Unwrap { call } => ("leave where there is nothing".to_owned(), taken_apart(case, line, step, call)),
        Panics::Other => ("leave where the check fails, rather than panic".to_owned(), None),
    }
}

/// A variable that has an address of the context as a number: `let end = (*ctx).data_end as usize;`.
fn edge(case: &Case<'_>, line: &SourceLine, field: &str) -> Option<String> {
    let lines = case.file(&line.file)?;
    let first = (0..line.line as usize).rev().find(|&n| lines.get(n).is_some_and(|t| find_word(t, "fn").is_some()))?;
    (first..line.line as usize - 1).filter_map(|n| lines.get(n)).find_map(|t| {
        let (name, value) = t.trim().strip_prefix("let ")?.split_once(" = ")?;
        let name = name.split(':').next()?.trim();
        let is_number = value.ends_with("as usize;") || value.ends_with(&format!("{field}();"));
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !value.contains(['+', '-']);
        (is_number && plain && find_word(value, field).is_some()).then(|| name.to_owned())
    })
}

/// The comparison of so many bytes of the packet with its end before a line.
pub(crate) fn compared(case: &Case<'_>, step: usize, bytes: i64, fields: (&str, &str)) -> Option<SourceEdit> {
    let line = case.source(case.trace.steps[step].insn)?;
    let start = edge(case, &line, fields.0)?;
    let end = edge(case, &line, fields.1).or_else(|| {
        let ctx = case.params(case.function_start(case.at())).first()?.0.clone();
        let own = head(case, &line)?;
        find_word(&own, &ctx)?;
        own.contains(&format!("{ctx}: *")).then(|| format!("unsafe {{ (*{ctx}).{} }} as usize", fields.1))
    })?;
    let leave = given_up(case, &line, step)?;
    let lines = [format!("if {start} + {bytes} > {end} {{"), format!("    return{leave};"), "}".to_owned()];
    before(case, &line, &lines)
}
