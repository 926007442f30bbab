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

/// The text in a log buffer that ends at the first zero byte.
pub fn text_of(buffer: &[u8]) -> String {
    let end = buffer.iter().position(|&b| b == 0).unwrap_or(buffer.len());
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}

/// Reads the end of a log.
pub fn summary(log: &str) -> Summary {
    let mut out = Summary::default();
    for line in log.lines().rev().take(64) {
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
            out.message = line.split("verification time ").next().unwrap_or_default().to_owned();
        }
    }
    out
}
