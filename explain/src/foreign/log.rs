//! The verifier's log as data: instructions with the states around them, source lines, messages, and what newer kernels
//! explain.

use ebpfkit_verifier::reason::recognise;

/// An instruction that was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Slot.
    pub insn: usize,
    /// Opcode.
    pub code: u8,
    /// The instruction's text.
    pub text: String,
    /// What is known of registers after it, in the kernel's words.
    pub regs: Vec<(u8, String)>,
    /// Number of its source line.
    pub source: Option<usize>,
    /// Another frame begins or ends here.
    pub frame_changes: bool,
}

/// A source line in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its text.
    pub text: String,
    /// Its file and line, where the kernel says them (since Linux 6.8).
    pub at: Option<(String, u32)>,
}

/// What Linux 7.3 says behind its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Category and title.
    pub title: String,
    /// The reason, in one line.
    pub reason: String,
}

/// The log of one verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The program's name, where the tool says it.
    pub program: Option<String>,
    /// Instructions, in the order of the walk.
    pub steps: Vec<Step>,
    /// Source lines.
    pub sources: Vec<Source>,
    /// Lines of the kernel's last complaint.
    pub messages: Vec<String>,
    /// What a newer kernel explains.
    pub explanation: Option<Explanation>,
    /// Instructions processed; without them the log's end is missing.
    pub processed: Option<u64>,
    /// Numbers are called `inv`, as before Linux 5.18.
    pub has_inv: bool,
}

/// Lines that say nothing about the path.
const NOISE: &[&str] = &[
    "func#",
    "Func#",
    "Validating ",
    "mark_precise",
    "last_idx ",
    "regs=",
    "parent ",
    "propagating ",
    "Live regs",
    "safe",
    "live regs",
    "-- BEGIN",
    "-- END",
    "Verifier analysis",
    "push_",
    "Global function ",
    "stack=",
];

/// Lines of tools around a log.
const TOOLS: &[&str] = &[
    "libbpf: ",
    "Error: ",
    "error: ",
    "HINT: ",
    "Failed ",
    "failed ",
    "bpf: ",
    "thread '",
    "note: ",
    "Caused by",
    "Prog section",
    "Error fetching",
    "Unable to load",
    "Traceback",
    "  File ",
    "Exception: ",
    "load program: ",
    "field ",
    "panic: ",
];

/// Lines with figures, which follow the last message.
const FIGURES: &[&str] =
    &["verification time ", "stack depth ", "insns processed ", "max_states_per_insn ", "peak_states "];

/// `12: ` before `rest`.
fn numbered(line: &str) -> Option<(usize, &str)> {
    let (number, rest) = line.split_once(": ")?;
    Some((number.parse().ok()?, rest))
}

/// Whether a line begins with a register's state: `R1=`, `R1_w=`, `frame1: R1=`.
fn is_state(line: &str) -> bool {
    let line = match line.strip_prefix("frame") {
        Some(rest) => rest.split_once(": ").map_or(rest, |(_, rest)| rest),
        None => line,
    };
    let digits = line.strip_prefix('R').map(|r| r.trim_start_matches(|c: char| c.is_ascii_digit()));
    digits.is_some_and(|rest| {
        let rest = rest.strip_prefix('_').map_or(rest, |r| r.trim_start_matches(|c: char| c.is_ascii_lowercase()));
        rest.starts_with('=') && !line.contains(" is ")
    })
}

/// The program that libbpf names in a line: `prog 'x': ...`.
fn program_named(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("prog '")?;
    rest.split_once('\'').map(|(name, _)| name)
}

/// The message that a line is, or that it quotes behind a tool's words, as in
/// `load program: permission denied: R1 !read_ok (4 line(s) omitted)`.
fn quoted(line: &str) -> Option<&str> {
    let line = line.split(" (").next().filter(|_| line.contains("line(s) omitted")).unwrap_or(line);
    let ends = line.match_indices(": ").map(|(at, _)| &line[at + 2..]);
    let mut texts = std::iter::once(line).chain(ends).map(|t| t.trim_matches(['"', '\'']));
    texts.find(|t| recognise(t).is_some())
}

/// Where in an explanation a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    None,
    Reason,
    Other,
    Suggestion,
}

/// The logs in a text, one for each verification.
pub fn logs(text: &str) -> Vec<Log> {
    let mut logs = Vec::new();
    let mut log = Log::default();
    let mut program: Option<String> = None;
    let mut part = Part::None;
    let mut has_begun = false;
    let mut finish = |log: &mut Log, program: &mut Option<String>, has_begun: &mut bool| {
        let mut done = std::mem::take(log);
        if *has_begun && (!done.steps.is_empty() || !done.messages.is_empty() || done.processed.is_some()) {
            done.program = program.clone();
            logs.push(done);
        }
        *has_begun = false;
    };
    for line in super::clean::lines(text) {
        let trimmed = line.trim_start();
        if let Some(name) = program_named(trimmed) {
            if trimmed.contains("BEGIN PROG LOAD LOG") {
                finish(&mut log, &mut program, &mut has_begun);
            }
            program = Some(name.to_owned());
            continue;
        }
        // Explanations have lines of source and instructions of their own.
        if part != Part::None && !FIGURES.iter().any(|f| trimmed.starts_with(f)) && !trimmed.starts_with("processed ") {
            let explanation = log.explanation.get_or_insert_with(Explanation::default);
            part = match trimmed {
                "" if part == Part::Suggestion => Part::None,
                "" => Part::Other,
                "Reason:" => Part::Reason,
                "Suggestion:" => Part::Suggestion,
                _ => {
                    if part == Part::Reason {
                        if !explanation.reason.is_empty() {
                            explanation.reason.push(' ');
                        }
                        explanation.reason += trimmed;
                    }
                    part
                }
            };
            continue;
        }
        part = Part::None;
        if let Some(title) = trimmed.strip_prefix("Verification failed: ") {
            log.explanation = Some(Explanation { title: title.to_owned(), ..Explanation::default() });
            part = Part::Other;
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix("processed ") {
            log.processed = rest.split(' ').next().and_then(|n| n.parse().ok());
            has_begun = true;
            finish(&mut log, &mut program, &mut has_begun);
            continue;
        }
        if line.contains("=inv") || line.contains("'inv'") {
            log.has_inv = true;
        }
        let is_figure = FIGURES.iter().any(|f| trimmed.starts_with(f))
            || trimmed.starts_with("subprog ") && trimmed.contains("insns_");
        if trimmed.is_empty() || is_figure || NOISE.iter().any(|n| trimmed.starts_with(n) && *n != "Global function ") {
            continue;
        }
        if ["caller:", "callee:", "returning from callee:", "to caller at "].iter().any(|f| trimmed.starts_with(f)) {
            if let Some(step) = log.steps.last_mut() {
                step.frame_changes = true;
            }
            continue;
        }
        if let Some(text) = trimmed.strip_prefix(';') {
            log.messages.clear();
            let text = text.trim();
            // `text @ file.c:12`
            let at = text.rsplit_once(" @ ").and_then(|(text, source)| {
                let (file, number) = source.rsplit_once(':')?;
                Some((text, file.to_owned(), number.parse().ok()?))
            });
            log.sources.push(match at {
                Some((text, file, number)) => Source { text: text.to_owned(), at: Some((file, number)) },
                None => Source { text: text.to_owned(), at: None },
            });
            has_begun = true;
            continue;
        }
        let from = trimmed.strip_prefix("from ").and_then(|l| l.split_once(": "));
        let state = from.map(|(_, s)| s).or_else(|| is_state(trimmed).then_some(trimmed));
        if let Some(state) = state.filter(|s| is_state(s) || from.is_some()) {
            log.messages.clear();
            note_state(&mut log, state);
            has_begun = true;
            continue;
        }
        match numbered(trimmed) {
            Some((insn, rest)) if rest.starts_with('(') => {
                log.messages.clear();
                step(&mut log, insn, rest);
                has_begun = true;
            }
            Some((_, rest)) if is_state(rest) => {
                log.messages.clear();
                note_state(&mut log, rest);
                has_begun = true;
            }
            // Before the walk there is nothing but messages, and around the log there is anything.
            _ if log.steps.is_empty() => match quoted(trimmed) {
                Some(message) => {
                    log.messages.push(message.to_owned());
                    has_begun = true;
                }
                None if TOOLS.iter().any(|t| trimmed.starts_with(t)) => {}
                None => log.messages.push(trimmed.to_owned()),
            },
            _ => log.messages.push(trimmed.to_owned()),
        }
    }
    finish(&mut log, &mut program, &mut has_begun);
    logs
}

/// Splits at blanks that are not inside parentheses.
fn words(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut out) = (0i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth <= 0 => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

/// The registers that a state tells of: numbers and what is known of them, in the kernel's words.
fn registers(text: &str) -> Vec<(u8, String)> {
    let one = |word: &str| {
        let (number, state) = word.strip_prefix('R')?.split_once('=')?;
        // Older kernels add liveness marks: R1_w=...
        let number = number.split('_').next()?.parse().ok()?;
        Some((number, state.to_owned()))
    };
    words(text).into_iter().filter_map(one).collect()
}

/// Registers that a message names (`R3 ...`), in its order.
pub(super) fn named_registers(message: &str) -> Vec<u8> {
    let mut named = Vec::new();
    for (at, _) in message.match_indices('R') {
        let starts_word = !message[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let digits: String = message[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        if let (true, Ok(reg @ 0..=9)) = (starts_word, digits.parse())
            && !named.contains(&reg)
        {
            named.push(reg);
        }
    }
    named
}

/// Registers that a line tells of after the last instruction.
fn note_state(log: &mut Log, state: &str) {
    let regs = registers(state.trim());
    match log.steps.last_mut() {
        Some(step) => {
            step.regs.retain(|(r, _)| !regs.iter().any(|(new, _)| new == r));
            step.regs.extend(regs);
        }
        // What the program begins with.
        None => log.steps.push(Step { insn: usize::MAX, regs, ..Step::default() }),
    }
}

/// `(85) call bpf_map_lookup_elem#1    ; R0=map_value(...)`
fn step(log: &mut Log, insn: usize, rest: &str) {
    let code = rest.get(1..3).and_then(|c| u8::from_str_radix(c, 16).ok()).unwrap_or(0);
    let body = rest.get(4..).unwrap_or_default().trim_start();
    let (text, state) = match body.split_once(" ; ") {
        Some((text, state)) => (text.trim_end(), state),
        // Behind a jump that is taken stand the next slot and its state.
        None => match body.find(": R").map(|at| body[..at].rfind(' ').map_or(at, |b| b)) {
            Some(at) => (body[..at].trim_end(), body[at..].split_once(": ").map_or("", |(_, s)| s)),
            None => (body, ""),
        },
    };
    let source = log.sources.len().checked_sub(1);
    let regs = registers(state.trim());
    log.steps.push(Step { insn, code, text: text.to_owned(), regs, source, frame_changes: false });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_sources_and_messages() {
        let text = "0: R1=ctx() R10=fp0\n; r2 = f(x); @ a.c:3\n0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2=scalar()\n\
                    1: (15) if r2 == 0x0 goto pc+1 3: R1=ctx() R2=0\nR3 !read_ok\nprocessed 2 insns (limit 1000000)\n";
        let found = logs(text);
        assert_eq!(found.len(), 1);
        let log = &found[0];
        assert_eq!(log.sources[0], Source { text: "r2 = f(x);".into(), at: Some(("a.c".into(), 3)) });
        assert_eq!(log.steps[1].regs[1], (2, "scalar()".into()));
        assert_eq!((log.steps[2].text.as_str(), &log.steps[2].regs[1].1[..]), ("if r2 == 0x0 goto pc+1", "0"));
        assert_eq!((&log.messages[..], log.processed), (&["R3 !read_ok".to_owned()][..], Some(2)));
    }

    #[test]
    fn states_with_blanks_stay_whole() {
        assert_eq!(registers("R0_w=scalar(var_off=(0x0; 0xff)) R10=fp0")[0], (0, "scalar(var_off=(0x0; 0xff))".into()));
    }

    #[test]
    fn what_a_newer_kernel_explains_is_apart() {
        let text = "0: (95) exit\nUnreleased reference id=2 alloc_insn=5\n\nVerification failed: A: B\n\nReason:\n  Because\n  of it.\n\n\
                    At:\n  f @ x.s:16:5\n  >>> 12 | (95) exit\n\nSuggestion:\n  Do it.\n\nIt would lead to reference leak\nverification time 1 usec\nprocessed 1 insns\n";
        let found = logs(text);
        assert_eq!(found[0].messages, ["Unreleased reference id=2 alloc_insn=5", "It would lead to reference leak"]);
        assert_eq!(found[0].explanation.as_ref().map(|e| &e.reason[..]), Some("Because of it."));
    }
}
