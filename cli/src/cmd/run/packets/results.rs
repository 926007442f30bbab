//! What comes of packets: counts, lines and frames that are written.

use crate::cmd::run::{Args, print};
use crate::files::{self, Output};
use crate::out;
use anyhow::{Context, Error, Result};
use ebpfkit_abi::{ProgType, retval_name, retval_names, retval_of};
use ebpfkit_vm::capture::{ETHERNET, Format, Record, Writer};
use ebpfkit_vm::input::{Fate, fate};
use ebpfkit_vm::replay::Replayed;
use ebpfkit_vm::{Fault, hex};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

use crate::cmd::run::limits::Stop;

/// Return values below this have a counter each, as all verdicts have.
const SMALL: usize = 256;
/// Other return values counted one by one; more are counted together.
const MAX_COUNTS: usize = 256;
/// Bytes kept before they are written.
const BUFFER: usize = 1 << 18;

/// One packet's result; documented in `docs/json.md`.
#[derive(Serialize, Default)]
pub struct PacketResult<'a> {
    /// Its number.
    pub packet: u64,
    /// Its length before the run.
    pub len: usize,
    /// What the program returned; nothing where it did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retval: Option<u32>,
    /// The name of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// Metadata that an XDP program has put before the packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<String>,
    /// What the program emitted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<print::JsonEvent>,
    /// Why the program did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Where the kernel's run gave something else.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub differences: &'a [Difference],
}

/// What the kernel's run gave otherwise; documented in `docs/json.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `retval`, `packet`, a field of the context, `error`.
    pub what: String,
    /// Here.
    pub here: String,
    /// In the kernel.
    pub kernel: String,
}

impl Difference {
    /// A difference of values as they are printed.
    pub fn new(what: impl Into<String>, here: impl ToString, kernel: impl ToString) -> Self {
        Self { what: what.into(), here: here.to_string(), kernel: kernel.to_string() }
    }
}

/// How often each value was returned.
pub struct Counts {
    small: [u64; SMALL],
    large: BTreeMap<u32, u64>,
    others: u64,
}

impl Counts {
    fn new() -> Self {
        Self { small: [0; SMALL], large: BTreeMap::new(), others: 0 }
    }

    #[inline]
    fn add(&mut self, value: u32) {
        match self.small.get_mut(value as usize) {
            Some(n) => *n += 1,
            None => self.add_large(value),
        }
    }

    fn add_large(&mut self, value: u32) {
        if let Some(n) = self.large.get_mut(&value) {
            *n += 1;
        } else if self.large.len() < MAX_COUNTS {
            self.large.insert(value, 1);
        } else {
            self.others += 1;
        }
    }

    /// The values with their names, as programs of a type have them.
    pub fn named(&self, kind: ProgType) -> Vec<(String, u64)> {
        let name = |v: u32| retval_name(kind, v).map_or_else(|| v.to_string(), str::to_owned);
        let small = (0..).zip(self.small).filter(|(_, n)| *n > 0);
        let large = self.large.iter().map(|(v, n)| (*v, *n));
        let mut all: Vec<_> = small.chain(large).map(|(v, n)| (name(v), n)).collect();
        if self.others > 0 {
            all.push(("others".into(), self.others));
        }
        all
    }
}

/// Which packets are written.
enum Written {
    /// Those that go on.
    Passed,
    /// Those that end here.
    Dropped,
    /// Those for which the program returned one of these.
    Values(Vec<u32>),
}

impl Written {
    fn of(args: &Args, kind: ProgType) -> Result<Self> {
        if args.write_dropped {
            return Ok(Self::Dropped);
        }
        if args.write_if.is_empty() {
            return Ok(Self::Passed);
        }
        let value = |text: &String| {
            retval_of(kind, text).with_context(|| {
                let names: Vec<&str> = retval_names(kind).iter().map(|(_, name)| *name).collect();
                match names.is_empty() {
                    true => format!("--write-if {text}: expected a number"),
                    false => format!("--write-if {text}: expected {} or a number", names.join(", ")),
                }
            })
        };
        Ok(Self::Values(args.write_if.iter().map(value).collect::<Result<_>>()?))
    }
}

/// Why the stream ended before the capture.
pub enum Ended {
    /// The program faulted.
    Fault {
        /// At which packet.
        packet: u64,
        /// The program that was running.
        program: String,
        /// What it did.
        fault: Fault,
    },
    /// From outside.
    Stopped(Stop),
    /// The capture is broken, or a result cannot be written.
    Error(Error),
}

/// A packet that is written.
pub struct Kept<'b> {
    /// What the capture says of it.
    pub record: Record,
    /// The frame.
    pub frame: &'b [u8],
    /// Metadata before it.
    pub meta: &'b [u8],
}

/// What is made of a packet's result: the lines that tell of it, and the frame that is kept.
pub struct Taking {
    kind: ProgType,
    json: bool,
    verbose: bool,
    which: Option<Written>,
}

impl Taking {
    /// As the options say.
    pub fn of(args: &Args, kind: ProgType) -> Result<Self> {
        let which = args.write.as_ref().map(|_| Written::of(args, kind)).transpose()?;
        Ok(Self { kind, json: args.json, verbose: args.verbose, which })
    }

    /// Whether every packet has a line.
    pub fn tells(&self) -> bool {
        self.json || self.verbose
    }

    /// Whether packets are written.
    pub fn keeps(&self) -> bool {
        self.which.is_some()
    }

    /// Writes a packet's result and what the program told.
    pub fn lines(&self, replayed: &mut Replayed<'_>, to: &mut impl Write) -> std::io::Result<()> {
        let Replayed { packet, before, retval, ref mut run, .. } = *replayed;
        let (len, name) = (before.len(), retval_name(self.kind, retval));
        if self.json {
            let meta = Some(run.packet().meta()).filter(|m| !m.is_empty()).map(hex::encode);
            let events = run.events_mut().drain(..).map(|e| print::JsonEvent::from(&e)).collect();
            let result =
                PacketResult { packet, len, retval: Some(retval), name, meta, events, ..PacketResult::default() };
            return line(to, &result);
        }
        if self.verbose {
            self.verbose_line(packet, len, retval, to)?;
        }
        run.events_mut().drain(..).try_for_each(|event| print::event(to, &event))
    }

    /// The line of a packet for people.
    pub fn verbose_line(&self, packet: u64, len: usize, retval: u32, to: &mut impl Write) -> std::io::Result<()> {
        let value = retval_name(self.kind, retval).map_or_else(|| retval.to_string(), str::to_owned);
        writeln!(to, "{packet:6}  {len:5} bytes  {value}")
    }

    /// How many bytes of a packet are kept, if it is one of those that are written.
    pub fn keep(&self, retval: u32) -> Option<usize> {
        match (self.which.as_ref()?, fate(self.kind, retval)) {
            (Written::Passed, Fate::Passes { keep }) => Some(keep),
            (Written::Dropped, Fate::Ends) => Some(usize::MAX),
            (Written::Values(values), fate) if values.contains(&retval) => match fate {
                Fate::Passes { keep } => Some(keep),
                Fate::Ends => Some(usize::MAX),
            },
            _ => None,
        }
    }

    /// The packet as the program left it, if it is one of those that are written.
    pub fn kept<'b>(&self, replayed: &'b Replayed<'_>, buffer: &'b mut Vec<u8>) -> Option<Kept<'b>> {
        let keep = self.keep(replayed.retval)?;
        let packet = replayed.run.packet();
        let after = replayed.after(buffer);
        let link_header = after.len() - packet.full_len();
        let record = left(replayed.record, replayed.before.len(), after.len());
        let kept = after.len().min(keep.saturating_add(link_header));
        Some(Kept { record, frame: &after[..kept], meta: packet.meta() })
    }
}

/// What is said of a packet whose length has changed: that is a change on the wire too.
pub fn left(record: Record, before: usize, after: usize) -> Record {
    let grown = after as i64 - before as i64;
    let wire_len = (i64::from(record.wire_len) + grown).clamp(0, i64::from(u32::MAX)) as u32;
    Record { wire_len, ..record }
}

/// A value as a line of JSON.
pub fn line(to: &mut impl Write, value: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

/// Where results go, in the order of the packets.
pub struct Sink<'a> {
    args: &'a Args,
    /// How often each value was returned.
    pub counts: Counts,
    /// Packets that ran to the end.
    pub packets: u64,
    /// Packets that were written.
    pub written: u64,
    /// Packets whose metadata could not be written.
    pub without_meta: u64,
    writer: Option<Writer<BufWriter<Output>>>,
    /// Standard output.
    pub lines: BufWriter<Box<dyn Write>>,
    /// Whoever watches wants to see each packet at once.
    pub flushes: bool,
}

impl<'a> Sink<'a> {
    /// Opens what is written.
    pub fn open(args: &'a Args, flushes: bool) -> Result<Self> {
        let writer = match &args.write {
            Some(path) => {
                let output = BufWriter::with_capacity(BUFFER, Output::create(path)?);
                Some(Writer::new(output, Format::of(path), ETHERNET)?)
            }
            None => None,
        };
        Ok(Self {
            args,
            counts: Counts::new(),
            packets: 0,
            written: 0,
            without_meta: 0,
            writer,
            lines: BufWriter::with_capacity(BUFFER, out::results()),
            flushes,
        })
    }

    /// Whether results are printed as JSON.
    pub fn json(&self) -> bool {
        self.args.json
    }

    /// Counts a packet that ran to the end.
    #[inline]
    pub fn count(&mut self, retval: u32) {
        self.packets += 1;
        self.counts.add(retval);
    }

    /// What was printed of a packet is shown now, if somebody waits for it.
    pub fn shown(&mut self) -> std::io::Result<()> {
        if self.flushes { self.lines.flush() } else { Ok(()) }
    }

    /// Writes a packet.
    pub fn write(&mut self, kept: &Kept<'_>) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let comment = match kept.meta {
            [] => String::new(),
            _ if !writer.takes_comments() => {
                self.without_meta += 1;
                String::new()
            }
            meta => format!("metadata {}", hex::encode(meta)),
        };
        writer
            .write_with(&kept.record, kept.frame, &comment)
            .with_context(|| self.args.write.as_deref().map(files::name).unwrap_or_default())?;
        self.written += 1;
        Ok(())
    }

    /// Ends the file that is written.
    pub fn finish(&mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let finished = writer.finish().map_err(Error::from).and_then(|out| {
            let out = out.into_inner().map_err(|e| e.into_error())?;
            out.finish()
        });
        finished.with_context(|| self.args.write.as_deref().map(files::name).unwrap_or_default())
    }
}
