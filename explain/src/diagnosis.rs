//! A rejection as rustc would show it: the place, the kernel's message, what it means, what to do.

use crate::catalogue;
use crate::source;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use ebpfkit_object::Object;
use ebpfkit_verifier::Rejection;
use ebpfkit_verifier::log::insn_text;

/// Renders the rejection of one program. `message` replaces the kernel's message where the loader rewrites it.
pub fn render(object: &Object, program: usize, rejection: &Rejection, message: Option<&str>) -> String {
    let program = &object.programs[program];
    let text = rejection.reason.to_string();
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let message = message.or(lines.last().copied()).unwrap_or_default();
    let line = object.btf.as_deref().and_then(|btf| source::line_of(program, btf, rejection.insn));
    let next = program.insns.get(rejection.insn + 1).copied();
    let insn = program.insns.get(rejection.insn).map(|&i| insn_text(i, next, &|_| None)).unwrap_or_default();

    let title = Level::ERROR.primary_title(message).id(rejection.reason.code());
    let shown = match &line {
        Some(l) => l.text.trim_start().to_owned(),
        None => insn.clone(),
    };
    let (path, number) = match &line {
        Some(l) => (l.file.clone(), l.line as usize),
        None => (format!("{}:{}", object.name, program.section), rejection.insn),
    };
    let label = format!("instruction {}", rejection.insn);
    let snippet = Snippet::source(shown.as_str())
        .line_start(number)
        .path(path.as_str())
        .annotation(AnnotationKind::Primary.span(0..shown.len()).label(label.as_str()));
    let mut group = Group::with_title(title).element(snippet);
    for before in &lines[..lines.len().saturating_sub(1)] {
        group = group.element(Level::NOTE.message(*before));
    }
    let entry = catalogue::find(message);
    if let Some(entry) = entry {
        group = group.element(Level::NOTE.message(entry.cause)).element(Level::HELP.message(entry.remedy));
    }
    Renderer::plain().render(&[group])
}
