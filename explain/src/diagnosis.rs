//! A rejection as rustc would show it: the location, the kernel's message, what it means, what to do.

use crate::catalogue;
use crate::path::{self, Involved, Origin};
use crate::reach;
use crate::source;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use ebpfkit_object::{Object, Program};
use ebpfkit_verifier::Rejection;
use ebpfkit_verifier::log::insn_text;

/// Where an instruction stands: file and line with their text, or the instruction itself where there is no line.
struct Location {
    path: String,
    number: usize,
    text: String,
}

impl Location {
    fn of(object: &Object, program: &Program, insn: usize) -> Self {
        match object.btf.as_deref().and_then(|btf| source::line_of(program, btf, insn)) {
            Some(l) => Self { path: l.file, number: l.line as usize, text: l.text.trim_start().to_owned() },
            None => {
                let next = program.insns.get(insn + 1).copied();
                let text = program.insns.get(insn).map(|&i| insn_text(i, next, &|_| None)).unwrap_or_default();
                Self { path: format!("{}:{}", object.name, program.section), number: insn, text }
            }
        }
    }
}

/// What is said of a register: a sentence, and the location of the instruction that it names.
fn origin_label(involved: &Involved) -> Option<(usize, String)> {
    let reg = involved.reg;
    match involved.origin? {
        Origin::Made(at) => Some((at, format!("R{reg} gets its value at instruction {at}"))),
        Origin::GivenUp(at) => Some((at, format!("R{reg} is given up by the call at instruction {at}"))),
    }
}

/// Renders the rejection of one program. `message` replaces the kernel's message where the loader rewrites it; `log` is
/// the log of the failing path, from which come the states of registers and the instructions that made them.
pub fn render(
    object: &Object,
    program: usize,
    rejection: &Rejection,
    message: Option<&str>,
    log: Option<&str>,
) -> String {
    let program = &object.programs[program];
    let text = rejection.text.clone();
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let message = message.or(lines.last().copied()).unwrap_or_default();
    let location = Location::of(object, program, rejection.insn);
    let involved =
        log.map(|l| path::involved_registers(l, &program.insns, rejection.insn, message)).unwrap_or_default();
    let origins =
        involved.iter().filter_map(origin_label).map(|(at, label)| (Location::of(object, program, at), label));
    // A line is shown once; what else is to be said of it becomes a note.
    let (same_line, origins): (Vec<_>, Vec<_>) =
        origins.partition(|(o, _)| o.path == location.path && o.number == location.number);

    let title = Level::ERROR.primary_title(message).id(rejection.reason.code());
    let label = format!("instruction {}", rejection.insn);
    let snippet = Snippet::source(location.text.as_str())
        .line_start(location.number)
        .path(location.path.as_str())
        .annotation(AnnotationKind::Primary.span(0..location.text.len()).label(label.as_str()));
    let mut group = Group::with_title(title).element(snippet);
    for (origin, label) in &origins {
        let snippet = Snippet::source(origin.text.as_str())
            .line_start(origin.number)
            .path(origin.path.as_str())
            .annotation(AnnotationKind::Context.span(0..origin.text.len()).label(label.as_str()));
        group = group.element(snippet);
    }
    for (_, label) in &same_line {
        group = group.element(Level::NOTE.message(label.as_str()));
    }
    for i in &involved {
        if let Some(state) = &i.state {
            group = group.element(Level::NOTE.message(format!("the verifier knows R{} as {state}", i.reg)));
        }
    }
    for before in &lines[..lines.len().saturating_sub(1)] {
        group = group.element(Level::NOTE.message(*before));
    }
    if let Some(note) = reach::note(&lines) {
        group = group.element(Level::NOTE.message(note));
    }
    let entry = catalogue::find(&reach::class_message(&lines, message));
    if let Some(entry) = entry {
        group = group.element(Level::NOTE.message(entry.cause)).element(Level::HELP.message(entry.remedy));
    }
    Renderer::plain().render(&[group])
}
