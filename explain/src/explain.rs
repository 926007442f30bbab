//! From a rejection and its recorded path to a diagnosis.

use crate::case::{Case, Draft};
use crate::diagnosis::{Diagnosis, Span, Suggestion};
use crate::families;
use crate::files::{Sources, Texts};
use crate::inlined;
use crate::mend::{Prover, Repair, TRIES};
use crate::render::{self, Lines};
use crate::source::{self, SourceLine};
use crate::trace::{Recorder, Trace};
use ebpfkit_object::Object;
use ebpfkit_verifier::reason::ExploreReason;
use ebpfkit_verifier::{KernelModel, Options, Reason, Rejection, check_program};

/// Steps of a verification up to which remedies are proved by verifying again.
const PROVED_STEPS: u64 = 100_000;

/// Whether a rejection comes late because a loop does not end.
fn is_loop(rejection: &Rejection) -> bool {
    matches!(
        rejection.reason,
        Reason::Explore(
            ExploreReason::InfiniteLoop { .. } | ExploreReason::TooManyBranches { .. } | ExploreReason::TooLarge { .. }
        )
    )
}

/// What a rejection is explained from.
#[derive(Clone, Copy)]
pub struct Explained<'a> {
    /// The kernel that was asked.
    pub kernel: &'a KernelModel,
    /// The prepared object.
    pub object: &'a Object,
    /// Number of the program.
    pub program: usize,
    /// Who loads it.
    pub options: Options,
    /// The rejection.
    pub rejection: &'a Rejection,
    /// Instructions that were processed before it.
    pub processed: u64,
    /// What the loader says in the place of the kernel's message.
    pub message: Option<&'a str>,
    /// Where the text of source files comes from.
    pub sources: &'a Sources<'a>,
}

impl Explained<'_> {
    /// The diagnosis, and what its first proved suggestion does, if there is one. Without a path that was recorded the
    /// program is walked once more.
    pub fn mended(&self, trace: Option<&Trace>) -> (Diagnosis, Option<Repair>) {
        let Self { kernel, object, options, processed, .. } = *self;
        let program = &object.programs[self.program];
        let walked;
        let trace = match trace {
            Some(trace) => trace,
            None => {
                let mut recorder = Recorder::default();
                check_program(kernel, object, program, options, &mut recorder);
                // A rejection that no walk brings back, such as one by an owner of a map, has no path.
                walked = recorder.into_trace().unwrap_or_default();
                &walked
            }
        };
        let texts = self.texts();
        let case = self.case(trace, &texts);
        let mut diagnosis = finish(&case, families::explain(&case, self.message), self.message);
        let tries = if processed <= PROVED_STEPS { TRIES } else { TRIES / 4 };
        let fuel = match processed {
            // A loop that has used up the limit is mended soon or not at all.
            n if n > PROVED_STEPS * 8 => n / 2,
            n => (n * 8 + 100).min(PROVED_STEPS * 40),
        };
        let mut prover = Prover::new(options, tries, fuel);
        // What takes long to verify is not verified again and again, nor what takes much longer than the rejection did.
        let mends = if processed <= PROVED_STEPS || is_loop(self.rejection) { prover.mend(&case) } else { Vec::new() };
        let mut repair = None;
        for (n, mended) in mends.into_iter().enumerate() {
            diagnosis.suggestions.insert(n, mended.suggestion);
            repair.get_or_insert(mended.repair);
        }
        (diagnosis, repair)
    }

    /// Explains the rejection by a path that was recorded, without remedies that are proved.
    pub fn by(&self, trace: &Trace) -> Diagnosis {
        let texts = self.texts();
        let case = self.case(trace, &texts);
        finish(&case, families::explain(&case, self.message), self.message)
    }

    fn texts(&self) -> Texts<'_> {
        Texts::new(self.sources, &self.object.programs[self.program], self.object.btf.as_deref())
    }

    fn case<'c>(&'c self, trace: &'c Trace, texts: &'c Texts<'c>) -> Case<'c> {
        let Self { kernel, object, rejection, .. } = *self;
        Case { kernel, object, program: &object.programs[self.program], rejection, trace, texts }
    }
}

/// The kernel's lines, those before the last one included. Of an endless loop only the line that says so.
fn messages(case: &Case<'_>, message: Option<&str>) -> Vec<String> {
    let mut lines = case.trace.details.clone();
    lines.extend(case.trace.because.iter().map(ToString::to_string));
    match message {
        Some(message) => lines.push(message.to_owned()),
        None => lines.extend(case.rejection.text.trim_end().lines().map(str::to_owned)),
    }
    lines.retain(|l| !l.trim().is_empty() && !l.starts_with("cur state:") && !l.starts_with("old state:"));
    lines
}

/// Where the functions are called that the compiler has put in the place of their calls: of the refused instruction all
/// of them, of the other places those that lie in other functions.
fn callers(case: &Case<'_>, at: usize, primary: &Span, secondary: &[Span]) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    let shown = |found: &[Span], line: &SourceLine| {
        let same = |s: &Span| s.line == line.line && s.file == line.file;
        found.iter().any(same) || same(primary) || secondary.iter().any(same)
    };
    let elsewhere = secondary.iter().filter_map(|s| s.insn);
    let mut calls = inlined::Calls::new(case);
    for insn in std::iter::once(at).chain(elsewhere) {
        for call in calls.around(insn) {
            // What BPF_PROG and BPF_KPROBE make of a program is the program.
            let by_macro = call.name.as_ref().is_some_and(|n| n.starts_with("____"));
            if by_macro || shown(&found, &call.line) {
                continue;
            }
            let label = match &call.name {
                Some(name) => format!("{name} is called here, and its code stands in the place of the call"),
                None => "this line has the code of an inlined function in it".to_owned(),
            };
            let (column, end_column) = source::extent(&call.line);
            let SourceLine { file, line, text, .. } = call.line;
            found.push(Span { file, line, column, end_column, text, insn: None, label });
        }
    }
    found
}

fn finish(case: &Case<'_>, draft: Draft, message: Option<&str>) -> Diagnosis {
    let at = draft.at.unwrap_or(case.at());
    let primary = match draft.place {
        Some(place) => Span { insn: Some(at), label: draft.label, ..place },
        None => case.span(at, draft.label),
    };
    let mut secondary: Vec<Span> = Vec::new();
    let mut notes = draft.notes;
    for span in draft.spans {
        let same_text = |s: &Span| {
            s.file == span.file
                && s.line == span.line
                && s.column == span.column
                && (s.line != 0 || s.insn == span.insn)
        };
        if span.label.is_empty() || secondary.iter().any(|s| same_text(s) && s.label == span.label) {
            continue;
        }
        secondary.push(span);
    }
    notes.dedup();
    for span in callers(case, at, &primary, &secondary) {
        secondary.push(span);
    }
    // What was inlined from elsewhere is refused for what the program's own line asks.
    let own = case.main_file().filter(|f| {
        !f.is_empty() && primary.has_source() && primary.file != **f && secondary.iter().all(|s| s.file != **f)
    });
    if let (Some(_), Some(step)) = (own, case.step())
        && let Some(at) = case.own_line_before(step)
    {
        secondary.push(case.span(at, "this part of the program leads there"));
    }
    let suggestions = draft.help.into_iter().map(|text| Suggestion { text, ..Suggestion::default() }).collect();
    Diagnosis {
        code: case.reason().code().to_owned(),
        headline: draft.headline,
        messages: messages(case, message),
        primary,
        secondary,
        notes,
        suggestions,
        blame: draft.blame,
    }
}

/// Renders a diagnosis of a program of `object` for a terminal.
pub fn terminal(object: &Object, program: usize, diagnosis: &Diagnosis, colours: bool) -> String {
    let known = |file: &str| -> Lines {
        let (Some(btf), Some(program)) = (object.btf.as_deref(), object.programs.get(program)) else {
            return Lines::new();
        };
        let of_file = program.line_info.iter().filter(|l| btf.str_at(l.file_name) == file && l.line != 0);
        of_file.map(|l| (l.line, btf.str_at(l.line_text).to_owned())).filter(|(_, t)| !t.is_empty()).collect()
    };
    render::terminal(diagnosis, &known, colours)
}
