//! What a run leaves behind: events, faults, map contents; for people and as JSON.

use super::Args;
use crate::judge::SourceResult;
use crate::out::{self, note};
use crate::paint;
use anyhow::{Context, Result};
use ebpfkit_abi::MapType;
use ebpfkit_explain::source::{self, SourceLine};
use ebpfkit_kernel::{KernelMap, Session};
use ebpfkit_object::{Map, Prepared};
use ebpfkit_vm::show::{Dump, Hex, Shape, UserMap};
use ebpfkit_vm::{Event, Fault, Instance, Lost, hex};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::io::Write;

/// An event as JSON.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JsonEvent {
    /// `bpf_trace_printk`
    Printk { text: String },
    /// A record of a perf event array.
    Perf { map: String, index: u32, data: String },
    /// A record of a ring buffer.
    Ring { map: String, data: String },
    /// Anything else.
    Other { text: String },
}

impl From<&Event> for JsonEvent {
    fn from(event: &Event) -> Self {
        match event {
            Event::Printk(text) => Self::Printk { text: text.clone() },
            Event::Perf { map, index, data } => Self::Perf { map: map.clone(), index: *index, data: hex::encode(data) },
            Event::Ring { map, data } => Self::Ring { map: map.clone(), data: hex::encode(data) },
            other => Self::Other { text: format!("{other:?}") },
        }
    }
}

/// Prints an event for people.
pub fn event(out: &mut impl Write, event: &Event) -> std::io::Result<()> {
    match event {
        Event::Printk(text) => writeln!(out, "printk: {}", text.trim_end_matches('\n')),
        Event::Perf { map, index, data } => writeln!(out, "event of {map}[{index}]: {}", Hex(data)),
        Event::Ring { map, data } => writeln!(out, "event of {map}: {}", Hex(data)),
        other => writeln!(out, "event: {other:?}"),
    }
}

/// Says on standard error what the program did not get because of the world's limits.
pub fn lost(lost: Lost) {
    if !lost.is_nothing() {
        note!("{} {lost}", paint::warning("lost:"));
    }
}

/// Prints events.
pub fn events(events: &[Event]) -> Result<()> {
    events.iter().try_for_each(|e| event(&mut out::results(), e)).context(out::STDOUT)
}

/// A fault as JSON; documented in `docs/json.md`.
#[derive(Serialize)]
pub struct JsonFault {
    /// The packet of a capture, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<u64>,
    /// The program that was running.
    pub program: String,
    /// What it did.
    pub message: String,
    /// Slot of the instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insn: Option<usize>,
    /// Its source line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceResult>,
}

impl JsonFault {
    /// A fault of a program.
    pub fn new(prepared: &Prepared, program: &str, fault: &Fault, packet: Option<u64>) -> Self {
        let source = line(prepared, program, fault).as_ref().map(SourceResult::from);
        Self { packet, program: program.to_owned(), message: fault.kind.to_string(), insn: fault.insn, source }
    }
}

/// The source line of a fault.
fn line(prepared: &Prepared, program: &str, fault: &Fault) -> Option<SourceLine> {
    let program = prepared.object.programs.iter().find(|p| p.name == program)?;
    source::line_of(program, prepared.object.btf.as_deref()?, fault.insn?)
}

/// Prints a fault with its source line, as far as it is known.
pub fn fault(prepared: &Prepared, program: &str, fault: &Fault) {
    note!("{} {program}: {fault}", paint::error("fault"));
    if let Some(line) = line(prepared, program, fault) {
        note!("  --> {}:{}\n   | {}", line.file, line.line, line.text.trim());
    }
}

/// A map of the running kernel.
struct InKernel<'a>(&'a KernelMap);

impl UserMap for InKernel<'_> {
    fn next_key(&self, key: Option<&[u8]>) -> std::result::Result<Option<Vec<u8>>, ()> {
        self.0.next_key(key).map_err(drop)
    }

    fn lookup(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.lookup(key).ok().flatten()
    }
}

/// What a run did not get because of the world's limits; documented in `docs/json.md`.
#[derive(Serialize)]
pub struct JsonLost {
    /// Events that were dropped.
    events: u64,
    /// Their bytes.
    bytes: u64,
    /// Allocations of objects that gave NULL.
    objects: u64,
    /// Timers that were refused.
    timers: u64,
}

impl JsonLost {
    /// What was lost, if anything.
    pub fn of(l: Lost) -> Option<Self> {
        let lost = Self { events: l.events, bytes: l.bytes, objects: l.objects, timers: l.timers };
        (!l.is_nothing()).then_some(lost)
    }
}

/// Where the maps are.
#[derive(Clone, Copy)]
enum Holder<'a> {
    Instance(&'a Instance),
    Kernel(&'a Session<'a>),
}

/// The maps that a run leaves behind: those that programs can change. They are read as they are printed.
pub struct Maps<'a> {
    prepared: &'a Prepared,
    holder: Holder<'a>,
    limit: usize,
}

impl<'a> Maps<'a> {
    /// The maps of an instance.
    pub fn of(args: &Args, prepared: &'a Prepared, instance: &'a Instance) -> Self {
        Self { prepared, holder: Holder::Instance(instance), limit: args.map_entries }
    }

    /// The maps that the running kernel holds.
    pub fn in_kernel(args: &Args, prepared: &'a Prepared, session: &'a Session<'a>) -> Self {
        Self { prepared, holder: Holder::Kernel(session), limit: args.map_entries }
    }

    /// Calls a function for each map with its definition and its contents.
    fn each<E>(
        &self,
        mut show: impl FnMut(&Map, &Dump<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        // Nothing changes the functions of a struct_ops map, and libbpf's own maps are no business of the program.
        let is_shown = |def: &Map| !def.frozen && def.map_type != MapType::StructOps && !def.name.starts_with("__bpf_");
        let defs = self.prepared.object.maps.iter().enumerate().filter(|(_, def)| is_shown(def));
        for (n, def) in defs {
            let shape = Shape {
                map_type: def.map_type,
                key_type: def.printed_types().0,
                value_type: def.printed_types().1,
                value_size: def.value_size as usize,
            };
            let btf = self.prepared.object.btf.as_deref();
            match &self.holder {
                Holder::Instance(instance) => {
                    let Some(Ok(map)) = instance.maps().get(n) else { continue };
                    show(def, &Dump::new(&**map, shape, btf, self.limit))?;
                }
                Holder::Kernel(session) => {
                    let Ok(map) = session.map(n) else { continue };
                    show(def, &Dump::new(&InKernel(map), shape, btf, self.limit))?;
                }
            }
        }
        Ok(())
    }

    /// What the maps hold as text: by the map and the key, or by the variable's name.
    fn contents(&self) -> BTreeMap<String, String> {
        let all = Self { prepared: self.prepared, holder: self.holder, limit: usize::MAX };
        let mut found = BTreeMap::new();
        let listed = all.each::<std::convert::Infallible>(|def, dump| {
            match dump.variables() {
                Some(variables) => found.extend(variables.iter().map(|(name, v)| (name.to_string(), v.to_string()))),
                None => found.extend(
                    dump.entries().map(|e| (format!("{}, entry {}", def.name, e.key()), e.value().to_string())),
                ),
            }
            Ok(())
        });
        match listed {
            Ok(()) => found,
        }
    }

    /// What other maps of the same definitions hold otherwise: the place, and the value of each.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let (mut ours, mut theirs) = (self.contents(), other.contents());
        theirs.retain(|place, value| {
            let same = ours.get(place) == Some(value);
            if same {
                ours.remove(place);
            }
            !same
        });
        let nothing = || "nothing".to_owned();
        let mut all: Vec<_> = ours
            .into_iter()
            .map(|(place, value)| {
                let other = theirs.remove(&place).unwrap_or_else(nothing);
                (place, value, other)
            })
            .collect();
        all.extend(theirs.into_iter().map(|(place, value)| (place, nothing(), value)));
        all
    }

    /// Prints them for people.
    pub fn show(&self) -> Result<()> {
        let mut out = std::io::BufWriter::new(out::results());
        self.write(&mut out).and_then(|()| out.flush()).context(out::STDOUT)
    }

    /// Writes them for people.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        self.each(|def, dump| write_map(out, def, dump))
    }
}

fn write_map(out: &mut impl Write, def: &Map, dump: &Dump<'_>) -> std::io::Result<()> {
    if let Some(variables) = dump.variables() {
        return variables.iter().try_for_each(|(name, value)| writeln!(out, "{name} = {value}"));
    }
    let Some(count) = dump.count() else { return Ok(()) };
    let more = if count == dump.limit() { " or more" } else { "" };
    let noun = if count == 1 { "entry" } else { "entries" };
    writeln!(out, "{} ({}): {count} {noun}{more}", def.name, def.map_type)?;
    dump.entries().try_for_each(|entry| writeln!(out, "  {}: {}", entry.key(), entry.value()))
}

impl Serialize for Maps<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let mut all = to.serialize_map(None)?;
        self.each(|def, dump| match dump.is_listable() {
            true => all.serialize_entry(&def.name, dump),
            false => Ok(()),
        })?;
        all.end()
    }
}
