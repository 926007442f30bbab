//! Accesses to the stack.

use super::{bounds, general, sizes, story};
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
    let size_text = sizes::argument_text(case, reg + 1)
        .filter(|_| case.reg(reg + 1).and_then(RegState::const_value) == Some(size as u64));
    let named = sizes::named_size(case, reg).filter(|n| *n < size);
    let left = named.or_else(|| sizes::stack_left(case, reg).filter(|r| *r < size && off >= -(STACK_SIZE as i64)));
    if let (Some(callee), Some(size_text), Some(left)) = (callee.as_deref(), size_text, left) {
        let buffer = sizes::argument_text(case, reg).unwrap_or_default();
        let variable = buffer.trim_start_matches('&').to_owned();
        let has = if named.is_some() {
            format!("which has {left}")
        } else {
            format!("where at most {} left", words::are_short(left))
        };
        let is_number = size_text.starts_with(|c: char| c.is_ascii_digit());
        return Draft::new(
            format!("{callee} accesses {} at {buffer}, {has}", words::bytes(size)),
            if is_number { format!("{} of {variable}", words::bytes(size)) } else { format!("{size_text} is {size}") },
        )
        .help(format!(
            "pass the size of the variable: `sizeof({variable})`; or make {variable} as large as is needed"
        ));
    }
    if let Some(d) = element(case, reg, size) {
        return d;
    }
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
    if let Some(d) = relocated(case) {
        return d;
    }
    if let Some(d) = beyond_array(case, reg) {
        return d;
    }
    let mut d = Draft::new(headline, format!("{} at fp{off:+}", words::bytes(size)));
    if off < -(STACK_SIZE as i64) {
        let needed = crate::case::stack_used(case, case.at());
        let function = case.function_at(case.at()).unwrap_or_else(|| "this function".into());
        d = d.note(format!("the variables of {function} take {needed} bytes of stack together"));
        d.spans.extend(super::limits::large_variables(case, case.function_start(case.at())));
        d.help.push(
            "what is sent can be made where it is sent from: reserve it (bpf_ringbuf_reserve) and fill it in there"
                .into(),
        );
        d.help.retain(|_| case.object.maps.iter().any(|m| m.map_type == ebpfkit_abi::MapType::Ringbuf));
        d.help.insert(0, help.into());
        return general::with_origin(case, d, &case.history(reg), &format!("r{reg}"));
    }
    general::with_origin(case, d, &case.history(reg), &format!("r{reg}")).help(help)
}

/// A key or value of a map that is larger than the variable in which it is passed.
fn element(case: &Case<'_>, reg: u8, size: i64) -> Option<Draft> {
    let callee = case.callee(case.at())?;
    let map = case.map(case.reg(1).filter(|r| r.ty.base == ebpfkit_verifier::RegBase::ConstMap)?)?;
    let (what, declared) = match reg {
        2 if size == i64::from(map.key_size) => ("key", "key_size"),
        3 if size == i64::from(map.value_size) => ("value", "value_size"),
        _ => return None,
    };
    let passed = sizes::argument_text(case, reg).unwrap_or_else(|| format!("r{reg}"));
    let named = sizes::named_size(case, reg);
    let left = named.or_else(|| sizes::stack_left(case, reg)).filter(|r| *r < size)?;
    let has = if named.is_some() { "" } else { "at most " };
    Some(
        Draft::new(
            format!("map '{}' has {what}s of {}, and {passed} leads to {has}{left}: {callee} reads all of the {what}", map.name, words::bytes(size)),
            format!("{} are read at {passed}", words::bytes(size)),
        )
        .help(format!("make the variable as large as the map's {what} is ({declared} {size}), or declare the map with the variable's type: `__type({what}, ...)`")),
    )
}

/// An index whose value is known and too large for the array that the line indexes.
fn beyond_array(case: &Case<'_>, reg: u8) -> Option<Draft> {
    let line = case.source(case.at()).filter(|_| !case.here().is_call())?;
    let index = source::index_at(&line)?;
    let (array, start) = crate::members::declared_at(case, &line, &index)?;
    let added = case.history(reg).into_iter().find_map(|e| match e.how {
        crate::origin::How::Computed { op: ebpfkit_isa::opcode::alu::ADD, with: Some(with), .. } => {
            let value = case.trace.reg(e.step, with).filter(|r| r.is_scalar())?.const_value()?;
            Some((e, with, value as i64))
        }
        _ => None,
    });
    let (event, with, value) = added?;
    let scale = story::scale_of(case, event.step, with).max(array.size);
    // The address of the element, less that of the array in its struct.
    let value = (value + i64::from(case.here().off) - start) / scale;
    if value < array.len {
        return None;
    }
    let text = format!("{index} is {value} here");
    let d = Draft::new(
        format!(
            "'{}' has {} elements, and the index {index} is {value} here: this lies behind it",
            array.name, array.len
        ),
        text,
    );
    Some(d.help(format!("compare it right before the access: `if ({index} >= {}) return`", array.len)))
}

/// A member of a variable of the program whose type is one of the kernel's: it is accessed where the kernel's struct has
/// it, and the variable is laid out as the program declares it.
pub(crate) fn relocated(case: &Case<'_>) -> Option<Draft> {
    use ebpfkit_object::btf::Kind;
    let line = case.source(case.at())?;
    let before = &line.text[..line.text.char_indices().nth((line.column as usize).checked_sub(1)?)?.0];
    let (variable, member) = match before.strip_suffix('.') {
        Some(base) => (source::last_word(base)?, source::word_at(&line)?),
        None => {
            let (base, member) = source::chain_at(&line)?.split_once('.').map(|(b, m)| (b.to_owned(), m.to_owned()))?;
            (base, member)
        }
    };
    let declared = |t: &str| {
        let at = source::find_word(t, &variable)?;
        let kind = t[..at].trim().strip_prefix("struct ")?.trim().to_owned();
        kind.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(kind)
    };
    let kind = case.scope(&line).iter().rev().find_map(|(_, t)| declared(t))?;
    let plain = kind.split("___").next()?.to_owned();
    let (own, kernel) = (case.btf()?, case.kernel.btf()?);
    let find = |btf: &ebpfkit_object::Btf, name: &str| {
        let id = btf.find(name, Kind::Struct)?;
        let at = btf.members(id).find(|m| m.name == member).map(|m| m.bit_offset / 8)?;
        Some((at, btf.size_of(id)?))
    };
    let (at, size) = find(own, &kind)?;
    let (kernel_at, _) = find(kernel, &plain)?;
    if at == kernel_at {
        return None;
    }
    Some(
        Draft::new(
            format!("{variable} is a variable of the program's own struct {kind} ({}), and '{member}' is accessed at byte {kernel_at} of it, where the kernel's struct has it", words::bytes(size.into())),
            format!("byte {kernel_at} of {variable}"),
        )
        .note(format!("the struct is declared with preserve_access_index: accesses of its members move to where the kernel's struct has them ('{member}' is at byte {at} in the program's), also those of variables of the program"))
        .help(format!("do not copy the struct: read the member alone from the kernel's object, with BPF_CORE_READ(p, {member}) or bpf_core_read"))
        .help("or declare another struct for the variable, without preserve_access_index"),
    )
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
    let indexed = line.as_ref().and_then(|l| {
        let at = l.text.find(&format!("[{what}]"))?;
        source::last_word(&l.text[..at])
    });
    let passed = sizes::argument_text(case, reg).map(|t| {
        let name: String =
            t.trim_start_matches(['&', '(']).chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        name
    });
    let buffer = bounds::accessed(case).or(indexed).or(passed.filter(|p| !p.is_empty()));
    let buffer = buffer.unwrap_or_else(|| "the buffer".into());
    let number = RegState { ty: RegType::SCALAR, ..state };
    let verb = if access.contains("write") { "written" } else { "read" };
    let bytes = size.map_or_else(String::new, |s| format!(" ({})", words::bytes(s)));
    let mut d = Draft::new(
        format!("{buffer} on the stack is {verb} at {what}, which is not bounded so that it stays inside{bytes}"),
        format!("{what} is {} here", words::scalar(&number)),
    );
    if let Some((e, r)) = found {
        d = story::story(case, d, e.step, r, &what);
    }
    let tested = if what.contains(' ') && !what.contains(" - ") { format!("({what})") } else { what.clone() };
    let unsigned = line.as_ref().is_some_and(|l| case.is_unsigned(l, &what));
    let most = size.filter(|s| *s > 1).map_or_else(String::new, |s| format!(" - {s}"));
    let limit =
        if buffer == "the buffer" { "the size of the buffer".to_owned() } else { format!("sizeof({buffer}){most}") };
    let compared = if most.is_empty() { ">=" } else { ">" };
    // Elements that are larger than a byte are counted, not measured.
    let limit = match found.map(|(e, r)| story::scale_of(case, e.step, r)).filter(|s| *s > 1) {
        Some(scale) => format!("sizeof({buffer}) / {scale}"),
        None => limit,
    };
    let compared = if limit.contains(" / ") { ">=" } else { compared };
    if unsigned {
        return d.help(format!("test {what} before the access: `if ({tested} {compared} {limit}) return`, or mask it"));
    }
    d.help(format!("test {what} before the access, from both sides: `if ({tested} < 0 || {tested} {compared} {limit}) return` (helpers that return a length return a negative number on errors), or mask it"))
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
    let mut d = general::with_origin(case, d, &history, &subject);
    if let Some((line, name)) = packed(case, &subject) {
        d.spans.extend(case.span_at(
            &line.file,
            line.line,
            format!("struct {name} is packed: its members are not aligned"),
        ));
        if insn.mode() == ebpfkit_isa::opcode::mode::ATOMIC {
            return d.note("atomic operations work on aligned memory alone").help(format!(
                "take `packed` from struct {name} at line {}, or put the member where it is aligned",
                line.line
            ));
        }
    }
    d.blame(Blame::Compiler)
        .note("packed structs and buffers of bytes have no alignment of their own, and the compiler copies them in words where it takes them for aligned")
        .help("align the variable: `__attribute__((aligned(8)))`, or take `packed` from the struct")
        .help("or copy it byte by byte (`__builtin_memcpy` into an aligned variable)")
}

/// The line that makes the struct packed which a pointer is declared to lead to, or a variable to be, and its name.
fn packed(case: &Case<'_>, subject: &str) -> Option<(crate::source::SourceLine, String)> {
    use crate::source::{SourceLine, find_word};
    let here = case.source(case.at()).filter(|l| !crate::source::is_assembly(&l.file))?;
    let variable = subject.trim_start_matches(['&', '(']).split(['-', '.', '[', ')']).next()?;
    let declares = |t: &str| {
        let at = find_word(t, variable)?;
        let kind = t[..at].trim_end_matches([' ', '*', ',']);
        let name = kind[kind.rfind("struct ")? + "struct ".len()..].split_whitespace().next()?;
        Some(name.trim_end_matches('*').to_owned())
    };
    let scope = case.scope(&here);
    let name = scope.iter().rev().find_map(|(_, t)| declares(t))?;
    let lines = case.file(&here.file)?;
    let head = lines.with_word(&name).find(|&n| {
        lines.get(n).is_some_and(|t| t.trim_start().starts_with(&format!("struct {name}")) && t.contains('{'))
    })?;
    let end = (head..(head + 64).min(lines.len())).find(|&n| lines.get(n).is_some_and(|t| t.contains('}')))?;
    let text = lines.get(end).filter(|t| t.contains("packed"))?;
    Some((SourceLine { file: here.file, line: end as u32 + 1, column: 0, text: text.to_owned() }, name))
}
