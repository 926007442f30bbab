//! Colours on a terminal; `NO_COLOR` is respected by anstream.

/// When to use colours.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Applies the choice to everything that is printed from now on.
pub fn choose(when: When) {
    match when {
        When::Auto => anstream::ColorChoice::Auto,
        When::Always => anstream::ColorChoice::Always,
        When::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Text of an error's first word.
pub fn error(text: &str) -> String {
    format!("\x1b[1;31m{text}\x1b[0m")
}

/// Text of good news.
pub fn good(text: &str) -> String {
    format!("\x1b[1;32m{text}\x1b[0m")
}

/// Text of something undecided.
pub fn warning(text: &str) -> String {
    format!("\x1b[1;33m{text}\x1b[0m")
}

/// Text about a verdict, in its colour.
pub fn verdict(status: ebpfkit_explain::judge::Status, text: &str) -> String {
    use ebpfkit_explain::judge::Status;
    match status {
        Status::Accepted => good(text),
        Status::Rejected | Status::Unloadable => error(text),
        Status::Unsupported => warning(text),
    }
}

/// Text of a title.
pub fn heading(text: &str) -> String {
    format!("\x1b[1m{text}\x1b[0m")
}
