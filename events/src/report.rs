//! What came of an event, for people and as JSON.

use ebpfkit_vm::show::Value;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// What came of one event.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Number of the event, from 1.
    pub event: u64,
    /// Its line in the file.
    pub line: usize,
    /// What it was: `kprobe do_unlinkat`.
    pub what: String,
    /// The task that it happened in, when the event names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What each program did, in the order in which they ran.
    pub programs: Vec<Ran>,
    /// What the hook makes of it: `denied: EPERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// What a program did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ran {
    /// Its name.
    pub program: String,
    /// What it returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retval: Option<i64>,
    /// The name of that, where the program type has names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Change>,
    /// What it told the outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emitted: Vec<Emitted>,
    /// What it could not do here, said once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Something that a program changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What: a field of the context, `packet`, the option's `value`.
    pub field: String,
    /// Before.
    pub from: Text,
    /// After.
    pub to: Text,
}

/// A value that is printed as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Text(pub Value);

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::Text(text) => f.write_str(text),
            other => other.fmt(f),
        }
    }
}

/// Something that a program told the outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Emitted {
    /// Text of `bpf_printk`.
    Printk {
        /// The text.
        text: String,
    },
    /// A record of a ring buffer or perf event array.
    Record {
        /// The map.
        map: String,
        /// Name of its type, where it is known.
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        ty: Option<String>,
        /// The record by its type, or hexadecimal bytes.
        data: Value,
    },
    /// Text for the reader of an iterator.
    Output {
        /// The text.
        text: String,
    },
    /// A signal to the task.
    Signal {
        /// Number of the signal.
        signal: u32,
    },
    /// A copy of the packet that was sent out.
    Packet {
        /// Index of the device.
        device: u32,
        /// Bytes.
        len: usize,
    },
    /// Where the packet, message or connection is sent.
    Redirect {
        /// The target in words.
        to: String,
    },
    /// Text of one of the program's streams.
    Stream {
        /// 1 for standard output, 2 for standard error.
        stream: u32,
        /// The text.
        text: String,
    },
}

impl Display for Emitted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Printk { text } => write!(f, "printk: {}", text.trim_end_matches('\n')),
            Self::Record { map, data, .. } => write!(f, "{map}: {data}"),
            Self::Output { text } => {
                write!(f, "output: {}", text.trim_end_matches('\n').replace('\n', "\n            "))
            }
            Self::Signal { signal } => write!(f, "signal: {signal}"),
            Self::Packet { device, len } => write!(f, "sent: {len} bytes to device {device}"),
            Self::Redirect { to } => write!(f, "redirected: {to}"),
            Self::Stream { stream, text } => write!(f, "stream {stream}: {}", text.trim_end_matches('\n')),
        }
    }
}

impl Display for Ran {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "  {}: ", self.program)?;
        match (self.retval, self.name, &self.fault) {
            (_, _, Some(fault)) => write!(f, "fault: {fault}")?,
            (Some(n), Some(name), _) => write!(f, "{n} ({name})")?,
            (Some(n), None, _) => write!(f, "{n}")?,
            (None, ..) => write!(f, "ran")?,
        }
        for change in &self.changed {
            write!(f, "\n    {}: {} -> {}", change.field, change.from, change.to)?;
        }
        self.emitted.iter().try_for_each(|e| write!(f, "\n    {e}"))?;
        self.notes.iter().try_for_each(|note| write!(f, "\n    note: {note}"))
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.event, self.what)?;
        if let Some(task) = &self.task {
            write!(f, " ({task})")?;
        }
        if let Some(result) = &self.result {
            write!(f, ": {result}")?;
        }
        if self.programs.is_empty() && self.result.is_none() {
            write!(f, ": no program")?;
        }
        self.programs.iter().try_for_each(|p| write!(f, "\n{p}"))
    }
}
