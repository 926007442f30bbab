//! Reading the verifier's log: the final message and the figures behind it.

/// What the last lines of a log say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Last line that is neither a figure nor empty: the reason of a rejection. Empty when there is none.
    pub message: String,
    /// Instructions processed.
    pub insns_processed: Option<u64>,
    /// States kept (`total_states`).
    pub total_states: Option<u64>,
    /// Microseconds of verification, with [`crate::LogLevel::STATS`].
    pub verification_us: Option<u64>,
}

/// Lines that hold figures instead of messages.
const FIGURES: [&str; 3] = ["processed ", "verification time ", "stack depth "];

/// How the line of figures begins, and what follows the number in it: a message may lack its end of line, so that the
/// figures follow it at once.
const PROCESSED: (&str, &str) = ("processed ", " insns (limit ");

/// Lines at the end of a log that are looked at.
const LAST_LINES: usize = 512;

/// How the explanation begins that newer kernels give of a rejection.
const EXPLANATION: &str = "Verification failed: ";

/// How the message begins that may come before a path has got its first line.
const TOO_LARGE: &str = "BPF program is too large. ";

/// The text in a log buffer that ends at the first zero byte.
pub fn text_of(buffer: &[u8]) -> String {
    let end = buffer.iter().position(|&b| b == 0).unwrap_or(buffer.len());
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}

/// Calls that stand for what could not be resolved are unknown to the kernel; what they stand for replaces the
/// last of them in a log, as libbpf does. `poison` has the slots of such calls and what they stand for.
pub fn explain_poison(log: &mut String, poison: &[(usize, String)]) {
    const MESSAGE: &str = "invalid func unknown#";
    if poison.is_empty() {
        return;
    }
    let Some(message) = log.rfind(&format!("\n{MESSAGE}")).map(|at| at + 1) else { return };
    let call = log[..message - 1].rfind('\n').map_or(0, |at| at + 1);
    let end = log[message..].find('\n').map_or(log.len(), |at| message + at);
    let Some((slot, rest)) = log[call..message].split_once(": (") else { return };
    let Some((_, text)) = slot.parse().ok().and_then(|slot: usize| poison.iter().find(|p| p.0 == slot)) else { return };
    if !rest.contains("call unknown#") {
        return;
    }
    let what = match text {
        t if t.starts_with("failed to resolve CO-RE") => "<invalid CO-RE relocation>",
        t if t.starts_with("kfunc") => "<invalid kfunc call>",
        _ => "<invalid BPF map reference>",
    };
    let replacement = format!("{slot}: {what}\n{text}");
    log.replace_range(call..end, &replacement);
}

/// A line of a log and what follows its message on the same line, the latter first.
fn separated(line: &str) -> impl Iterator<Item = &str> {
    let time = line.find("verification time ");
    let figures = line.match_indices(PROCESSED.0).map(|(at, _)| at).find(|&at| {
        let rest = line[at + PROCESSED.0.len()..].trim_start_matches(|c: char| c.is_ascii_digit());
        rest.starts_with(PROCESSED.1)
    });
    let end = time.into_iter().chain(figures).min().filter(|&at| at > 0);
    let (message, rest) = line.split_at(end.unwrap_or(line.len()));
    [rest, message].into_iter().filter(|part| !part.is_empty())
}

/// Reads the end of a log.
pub fn summary(log: &str) -> Summary {
    let mut out = Summary::default();
    for line in log.lines().rev().take(LAST_LINES).flat_map(separated) {
        // From 7.3 on an explanation follows the message.
        if line.starts_with(EXPLANATION) {
            out.message.clear();
            continue;
        }
        if let Some(rest) = line.strip_prefix("verification time ") {
            out.verification_us = out.verification_us.or_else(|| rest.split(' ').next()?.parse().ok());
        } else if let Some(rest) = line.strip_prefix("processed ") {
            out.insns_processed = out.insns_processed.or_else(|| rest.split(' ').next()?.parse().ok());
            out.total_states = out.total_states.or_else(|| {
                let (_, after) = rest.split_once("total_states ")?;
                after.split(' ').next()?.parse().ok()
            });
        }
        if out.message.is_empty() && !line.trim().is_empty() && !FIGURES.iter().any(|f| line.starts_with(f)) {
            // A log that goes back to the start of another path may have lost the end of the line before.
            let start = line.find(TOO_LARGE).unwrap_or(0);
            out.message = line[start..].to_owned();
        }
    }
    out
}

#[cfg(test)]
mod summary_tests {
    use super::summary;

    #[test]
    fn a_message_may_lack_its_end_of_line() {
        let log = "5: (85) call bpf_tail_call#12\nno maps hereprocessed 3 insns (limit 1000000) max_states_per_insn 0 \
                   total_states 1 peak_states 0 mark_read 0\n";
        let read = summary(log);
        assert_eq!((read.message.as_str(), read.insns_processed), ("no maps here", Some(3)));
        let timed = summary("no maps hereverification time 7 usec\nstack depth 0\n");
        assert_eq!((timed.message.as_str(), timed.verification_us), ("no maps here", Some(7)));
    }

    #[test]
    fn the_message_is_what_stands_before_an_explanation() {
        let log = "1: (95) exit\nR0 !read_ok\n\nVerification failed: Memory Safety: Uninitialised register\nReason: R0 has \
                   no value.\n\nSuggestion: Write it first.\nprocessed 2 insns (limit 1000000) max_states_per_insn 0 \
                   total_states 0 peak_states 0 mark_read 0\n";
        let read = summary(log);
        assert_eq!((read.message.as_str(), read.insns_processed), ("R0 !read_ok", Some(2)));
    }

    #[test]
    fn the_limit_is_told_from_the_line_before() {
        let log = "48: (65) if r2 s> 0x3 goto pc+2 BPF program is too large. Processed 1000001 insn\n\
                   processed 1000001 insns (limit 1000000) max_states_per_insn 64 total_states 27062 peak_states 9 \
                   mark_read 0\n";
        let read = summary(log);
        assert_eq!(read.message, "BPF program is too large. Processed 1000001 insn");
        assert_eq!((read.insns_processed, read.total_states), (Some(1_000_001), Some(27062)));
    }
}

#[cfg(test)]
mod poison_tests {
    use super::explain_poison;

    #[test]
    fn poisoned_calls_say_what_they_stand_for() {
        let text = "failed to resolve CO-RE relocation <byte_off> [5] struct s.a (0:0 @ offset 0)";
        let mut log =
            "0: R1=ctx()\n3: (85) call unknown#195896080\ninvalid func unknown#195896080\nprocessed 4 insns\n".into();
        explain_poison(&mut log, &[(1, "kfunc".into()), (3, text.into())]);
        assert_eq!(log, format!("0: R1=ctx()\n3: <invalid CO-RE relocation>\n{text}\nprocessed 4 insns\n"));
        let untouched = log.clone();
        explain_poison(&mut log, &[]);
        assert_eq!(log, untouched);
    }
}
