//! The diagnosis of a rejection from a kernel's own log, inside of whatever a tool printed around it.

mod agree;
mod clean;
mod log;
mod values;

pub use agree::{Agreement, agreement};
pub use log::{Explanation, Log, Source, Step};

use crate::catalogue;
use crate::diagnosis::{Blame, Diagnosis, Span, Suggestion};
use crate::pages;
use ebpfkit_verifier::reason::{
    CallReason, ExploreReason, KfuncReason, MemoryReason, Recognised, ResourceReason, ScalarReason, recognise,
};
use ebpfkit_verifier::{Reason, RegBase};
use values::Event;

/// What a log says of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The kernel takes the program.
    Accepted,
    /// It refuses it, for this reason.
    Rejected(Box<Diagnosis>),
    /// It says something that no rejection is known to say.
    Unknown(Vec<String>),
    /// The log ends before it says anything.
    Cut,
}

/// The logs in a text, in their order, with what each says.
pub fn read(text: &str) -> Vec<(Log, Said)> {
    log::logs(text).into_iter().map(|log| (said(&log), log)).map(|(said, log)| (log, said)).collect()
}

/// The lines that are a message, without others around them, and the rejection that they belong to.
fn message(log: &Log) -> Option<(Vec<String>, Recognised)> {
    // What a tool says behind a log whose end is missing is not the kernel's; what stands before a message of several
    // lines may be.
    for end in (1..=log.messages.len()).rev() {
        let first = end.saturating_sub(4);
        for start in first..end {
            let lines = &log.messages[start..end];
            if let Some(found) = recognise(&lines.join("\n")).filter(|f| f.reason.is_some() || start + 1 == end) {
                return Some((log.messages[..end].to_vec(), found));
            }
        }
    }
    None
}

fn said(log: &Log) -> Said {
    match message(log) {
        // The kernel says so of any function's parameters when it begins, and goes on.
        Some((_, found)) if found.variant.starts_with("GlobalArg") && log.processed.is_none() => Said::Cut,
        Some((lines, found)) => Said::Rejected(Box::new(diagnose(log, lines, &found))),
        None if !log.messages.is_empty() && log.explanation.is_some() => Said::Rejected(Box::new(by_explanation(log))),
        None if !log.messages.is_empty() => Said::Unknown(log.messages.clone()),
        None if log.processed.is_some() => Said::Accepted,
        None => Said::Cut,
    }
}

/// A diagnosis where only the kernel's own explanation is understood.
fn by_explanation(log: &Log) -> Diagnosis {
    let explanation = log.explanation.clone().unwrap_or_default();
    Diagnosis {
        headline: explanation.title,
        messages: log.messages.clone(),
        primary: last_step(log).map(|at| span(log, at, "refused here")).unwrap_or_default(),
        notes: vec![format!("the kernel explains: {}", explanation.reason)],
        ..Diagnosis::default()
    }
}

/// The step that a message is about: the last one.
fn last_step(log: &Log) -> Option<usize> {
    log.steps.iter().rposition(|s| s.insn != usize::MAX)
}

/// The place of a step: its line of source, where the log has it.
fn span(log: &Log, at: usize, label: impl Into<String>) -> Span {
    let step = &log.steps[at];
    let source = step.source.and_then(|s| log.sources.get(s));
    let label = label.into();
    match source {
        Some(Source { text, at: Some((file, line)) }) => Span {
            file: file.clone(),
            line: *line,
            text: text.clone(),
            insn: Some(step.insn),
            label,
            ..Span::default()
        },
        _ => {
            let file = log.program.clone().unwrap_or_else(|| "log".to_owned());
            Span { file, text: step.text.clone(), insn: Some(step.insn), label, ..Span::default() }
        }
    }
}

/// The place that is refused.
fn refused(log: &Log, at: usize) -> Span {
    let location = span(log, at, "refused here");
    let text = &log.steps[at].text;
    if location.has_source() && location.text.trim() != text {
        Span { label: format!("`{text}` is refused"), ..location }
    } else {
        location
    }
}

/// The instruction that acquired what is not released, where the kernel says so.
fn acquired(log: &Log) -> Option<usize> {
    let line = log.messages.iter().rev().find_map(|l| l.strip_prefix("Unreleased reference id="))?;
    line.split_once(" alloc_insn=")?.1.trim().parse().ok()
}

/// The place of a step in words.
fn location(log: &Log, at: usize) -> String {
    format!("instruction {}", log.steps[at].insn)
}

fn diagnose(log: &Log, messages: Vec<String>, found: &Recognised) -> Diagnosis {
    let page = pages::find(found.code);
    let last = messages.last().cloned().unwrap_or_default();
    let at = last_step(log);
    let mut regs = log::named_registers(&last);
    regs.truncate(2);
    let headline = at
        .and_then(|at| headline(log, at, found.reason.as_ref()?))
        .unwrap_or_else(|| page.map(|p| p.title().to_owned()).unwrap_or_default());
    let (mut secondary, mut notes) = (Vec::new(), Vec::new());
    if let Some(at) = at {
        for &reg in &regs {
            let mut history = values::history(log, at, reg);
            // The first computation that led here, and where it all began.
            history
                .dedup_by_key(|(_, event)| matches!(event, Event::Computed).then_some(()).map_or(usize::MAX, |()| 0));
            for (step, event) in history.into_iter().take(3) {
                let label = match event {
                    Event::Result(callee) => format!("r{reg} comes from {callee}"),
                    Event::Clobbered(callee) => format!("the call of {callee} leaves nothing in r{reg}"),
                    Event::Loaded => format!("r{reg} is loaded here"),
                    Event::Constant => format!("r{reg} gets its value here"),
                    Event::Computed => format!("r{reg} is computed here"),
                };
                secondary.push(span(log, step, label));
            }
            if let Some(state) = values::state(log, at, reg) {
                notes.push(format!("the verifier knows R{reg} as {state}"));
            }
        }
    }
    if let Some(step) = acquired(log).and_then(|insn| log.steps.iter().rposition(|s| s.insn == insn)) {
        secondary.push(span(log, step, "acquired here"));
    }
    secondary.sort_by_key(|s| s.insn);
    secondary.dedup_by(|a, b| a.insn == b.insn && a.label == b.label);
    if let Some(explanation) = log.explanation.as_ref().filter(|e| !e.reason.is_empty()) {
        notes.push(format!("the kernel explains: {}", explanation.reason));
    }
    let mut suggestions = Vec::new();
    // By the words of the kernel that the table is made for, whatever this one says.
    let usual = found.reason.as_ref().map(Reason::to_string);
    let usual = usual.as_deref().and_then(|text| text.trim_end().lines().last()).unwrap_or(&last);
    if let Some(entry) = catalogue::find(usual) {
        suggestions.push(Suggestion { text: entry.remedy.to_owned(), ..Suggestion::default() });
    }
    let more =
        format!("`ebpfkit explain {}` shows programs that get this and what they look like when mended", found.code);
    suggestions.push(Suggestion { text: more, ..Suggestion::default() });
    Diagnosis {
        code: found.code.to_owned(),
        headline,
        messages,
        primary: at.map(|at| refused(log, at)).unwrap_or_default(),
        secondary,
        notes,
        suggestions,
        blame: blame(found.code),
    }
}

/// Whose fault a rejection of a code usually is.
fn blame(code: &str) -> Blame {
    match code {
        "EBPF0301" | "EBPF0617" | "EBPF0636" | "EBPF0690" | "EBPF1001" | "EBPF1102" | "EBPF1123" => Blame::Environment,
        "EBPF0501" | "EBPF0502" | "EBPF0605" | "EBPF0623" => Blame::Limit,
        "EBPF0203" => Blame::Compiler,
        "EBPF0513" => Blame::Verifier,
        _ => Blame::Program,
    }
}

/// Where a register's value comes from, in a few words.
fn origin(log: &Log, at: usize, reg: u8) -> Option<String> {
    let (step, event) = values::history(log, at, reg).pop()?;
    let location = location(log, step);
    Some(match event {
        Event::Result(callee) => format!("it is what {callee} returned ({location})"),
        Event::Clobbered(callee) => format!("the call of {callee} ({location}) left nothing in it"),
        Event::Loaded => format!("it was loaded from memory ({location})"),
        Event::Constant => format!("it is a constant ({location})"),
        Event::Computed => format!("it was computed ({location})"),
    })
}

/// The call since which a register does not point into the packet any more.
fn moved_packet(log: &Log, at: usize, reg: u8) -> Option<String> {
    let made = values::history(log, at, reg).first()?.0;
    let was = |s: &Step| s.regs.iter().any(|(r, state)| *r == reg && state.starts_with("pkt("));
    let known = made + log.steps[made..at].iter().rposition(was)?;
    let call = known + log.steps[known..at].iter().position(|s| s.text.starts_with("call "))?;
    let name = log.steps[call].text["call ".len()..].split('#').next().unwrap_or_default();
    Some(format!("{name} ({})", location(log, call)))
}

/// What is wrong, in terms of the log's registers, instructions and sizes.
fn headline(log: &Log, at: usize, reason: &Reason) -> Option<String> {
    let because = |reg: u8| origin(log, at, reg).map(|o| format!(": {o}")).unwrap_or_default();
    Some(match reason {
        Reason::Scalar(ScalarReason::UninitRegister { reg: 0 }) if log.steps[at].code == ebpfkit_isa::opcode::EXIT => {
            "the program ends without a return value on this path".to_owned()
        }
        Reason::Scalar(ScalarReason::UninitRegister { reg }) => match origin(log, at, *reg) {
            Some(origin) => format!("r{reg} has no value here: {origin}"),
            None => format!("r{reg} has no value here: nothing on this path has set it"),
        },
        Reason::Memory(MemoryReason::InvalidMemAccess { reg, ty }) => match ty.strip_suffix("_or_null") {
            Some(ty) => format!("r{reg} may be NULL here ({ty} or NULL){}", because(*reg)),
            None if ty == "scalar" => match moved_packet(log, at, *reg) {
                Some(call) => format!("r{reg} pointed into the packet, which {call} may have moved"),
                None => format!("r{reg} is a number here, not a pointer{}", because(*reg)),
            },
            None => format!("r{reg} is a {ty} here, which cannot be followed{}", because(*reg)),
        },
        Reason::Memory(MemoryReason::OutsideRegion { detail, reg, .. }) => {
            let (from, end) = (detail.off, detail.off.saturating_add(i64::from(detail.size)));
            let what = if detail.base == RegBase::MapValue { "the map's value has" } else { "the memory has" };
            match from < 0 {
                true => format!("the access through r{reg} begins {} bytes before the memory", from.unsigned_abs()),
                false => {
                    format!("the access through r{reg} may need bytes {from} to {end}, and {what} {}", detail.region)
                }
            }
        }
        Reason::Memory(MemoryReason::OutsidePacket { detail, reg }) if detail.region >= 0 => {
            let end = detail.off.saturating_add(i64::from(detail.size));
            match detail.region {
                0 => format!(
                    "{end} bytes of the packet are needed through r{reg}, and none was compared with the packet's end"
                ),
                known => format!(
                    "{end} bytes of the packet are needed through r{reg}, and {known} were compared with the packet's end"
                ),
            }
        }
        Reason::Memory(MemoryReason::NegativeIndex { reg }) => format!("the offset in r{reg} may be negative"),
        Reason::Memory(MemoryReason::UnboundedAccess { reg }) => format!("the offset in r{reg} has no upper bound"),
        Reason::Memory(MemoryReason::NegativeSize { reg }) => format!("the size in r{reg} may be negative"),
        Reason::Memory(MemoryReason::UnboundedSize { reg }) => format!("the size in r{reg} has no upper bound"),
        Reason::Memory(MemoryReason::OutsideStack { off, size, .. }) => {
            format!("{size} bytes at offset {off} do not lie in the 512 bytes of stack below the frame pointer")
        }
        Reason::Memory(MemoryReason::ContextAccess { off, size }) => {
            format!(
                "this program type has no field of {size} bytes at offset {off} of its context, or not for this access"
            )
        }
        Reason::Call(CallReason::ArgumentKind { reg, ty, .. }) => {
            format!("r{reg} is {ty}, which this call does not take{}", because(*reg))
        }
        Reason::Memory(MemoryReason::NoBuffer { reg, ty }) => {
            format!("r{reg} is {ty}, which this call does not take{}", because(*reg))
        }
        Reason::Call(CallReason::HelperNotOffered { name, .. }) => format!("programs of this type do not have {name}"),
        Reason::Call(CallReason::UnknownHelper { id, .. }) => format!("this kernel has no helper {id}"),
        Reason::Resource(ResourceReason::Unreleased { id, insn, .. }) => {
            format!("what instruction {insn} acquired (id={id}) is not released on this path")
        }
        Reason::Resource(ResourceReason::ReferenceLeak { .. }) => {
            let line = log.messages.iter().rev().find_map(|l| l.strip_prefix("Unreleased reference id="))?;
            let (id, insn) = line.split_once(" alloc_insn=")?;
            format!("what instruction {insn} acquired (id={id}) is not released on this path")
        }
        Reason::Explore(ExploreReason::TooLarge { insns }) => {
            format!("{insns} instructions were followed, which is more than the kernel follows")
        }
        Reason::Kfunc(KfuncReason::OtherStruct { func, reg, want, has, .. }) => {
            format!("{func} takes struct {want}, and r{reg} is a pointer to struct {has}")
        }
        _ => return None,
    })
}
