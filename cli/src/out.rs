//! What is printed: results on standard output, messages on standard error.

use crate::paint;
use anyhow::Context;
use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Set when standard output carries the bytes of a file.
static DIVERTED: AtomicBool = AtomicBool::new(false);

/// From now on results go to standard error, as a file's bytes go to standard output.
pub fn divert() {
    DIVERTED.store(true, Relaxed);
}

/// Where results go. It is locked for each write alone, as another thread may have to report why the process ends.
pub fn results() -> Box<dyn Write> {
    if DIVERTED.load(Relaxed) { Box::new(anstream::stderr()) } else { Box::new(anstream::stdout()) }
}

/// Whether somebody watches the results as they come.
pub fn is_watched() -> bool {
    use std::io::IsTerminal;
    if DIVERTED.load(Relaxed) { io::stderr().is_terminal() } else { io::stdout().is_terminal() }
}

/// Prints a result; see [`say`].
pub fn line(text: Arguments<'_>) -> anyhow::Result<()> {
    let mut out = results();
    out.write_fmt(text).and_then(|()| out.write_all(b"\n")).context(STDOUT)
}

/// Prints a text as it is.
pub fn text(text: &str) -> anyhow::Result<()> {
    results().write_all(text.as_bytes()).context(STDOUT)
}

/// Writes out what is buffered.
pub fn flush() -> anyhow::Result<()> {
    results().flush().context(STDOUT)
}

/// The name of standard output in messages.
pub const STDOUT: &str = "standard output";

/// Whether an error is that results could not be written.
pub fn is_of_output(error: &anyhow::Error) -> bool {
    error.to_string() == STDOUT
}

/// A value as one line of JSON, as a stream.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, results());
    serde_json::to_writer(&mut out, value).map_err(io::Error::from).context(STDOUT)?;
    out.write_all(b"\n").and_then(|()| out.flush()).context(STDOUT)
}

/// Prints a message for people; one that cannot be printed is lost.
pub fn message(text: Arguments<'_>) {
    let mut out = anstream::stderr().lock();
    let _ = out.write_fmt(text).and_then(|()| out.write_all(b"\n"));
}

/// Prints an error.
pub fn error(error: &anyhow::Error) {
    message(format_args!("{} {}", paint::error("error:"), text_of(error)));
}

/// An error with its causes. The system's texts lose their numbers, which say nothing more.
pub fn text_of(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let mut part = cause.to_string();
        if let Some(at) = part.find(" (os error ") {
            part.truncate(at);
        }
        // A cause that the error before has said already.
        if text.ends_with(&part) {
            continue;
        }
        if !text.is_empty() {
            text += ": ";
        }
        text += &part;
    }
    text
}

/// Prints a line of results; the error is that it cannot be written.
macro_rules! say {
    ($($text:tt)*) => { $crate::out::line(format_args!($($text)*)) };
}

/// Prints a message on standard error.
macro_rules! note {
    ($($text:tt)*) => { $crate::out::message(format_args!($($text)*)) };
}

pub(crate) use {note, say};
