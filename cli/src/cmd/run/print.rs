//! What a run leaves behind: events, faults, map contents; for people and as JSON.

use super::Args;
use crate::paint;
use ebpfkit_explain::source;
use ebpfkit_kernel::{KernelMap, Session};
use ebpfkit_object::Prepared;
use ebpfkit_vm::show::{Contents, Shape, UserMap, contents_json, dump, dump_user_map};
use ebpfkit_vm::{Event, Fault, Instance, Run};
use serde::Serialize;
use serde_json::{Map as Object, Value as Json};
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
            Event::Perf { map, index, data } => Self::Perf { map: map.clone(), index: *index, data: hex(data) },
            Event::Ring { map, data } => Self::Ring { map: map.clone(), data: hex(data) },
            other => Self::Other { text: format!("{other:?}") },
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Prints an event for people.
pub fn event(out: &mut impl Write, event: &Event) -> std::io::Result<()> {
    match event {
        Event::Printk(text) => writeln!(out, "printk: {}", text.trim_end_matches('\n')),
        Event::Perf { map, index, data } => writeln!(out, "event of {map}[{index}]: {}", hex(data)),
        Event::Ring { map, data } => writeln!(out, "event of {map}: {}", hex(data)),
        other => writeln!(out, "event: {other:?}"),
    }
}

/// Prints events on standard output.
pub fn events(events: &[Event]) -> std::io::Result<()> {
    events.iter().try_for_each(|e| event(&mut anstream::stdout(), e))
}

/// Prints a fault with its source line, as far as it is known.
pub fn fault(prepared: &Prepared, run: &Run, fault: &Fault) {
    anstream::eprintln!("{} {}: {fault}", paint::error("fault"), run.current().name());
    let program = prepared.object.programs.iter().find(|p| p.name == run.current().name());
    let line = program.zip(prepared.object.btf.as_deref()).zip(fault.insn);
    if let Some(line) = line.and_then(|((program, btf), at)| source::line_of(program, btf, at)) {
        anstream::eprintln!("  --> {}:{}\n   | {}", line.file, line.line, line.text.trim());
    }
}

/// A map's name, its type and what it holds.
pub type Shown<'a> = (&'a str, String, Contents);

/// Maps worth showing: those that programs can change, with their contents.
pub fn contents<'a>(args: &Args, prepared: &'a Prepared, instance: &Instance) -> Vec<Shown<'a>> {
    let defs = prepared.object.maps.iter().zip(instance.maps());
    let shown = defs.filter(|(def, _)| !def.frozen).filter_map(|(def, map)| {
        let map = map.as_ref().ok()?;
        let contents = dump(map, prepared.object.btf.as_deref(), args.map_entries)?;
        Some((def.name.as_str(), map.facts().map_type.to_string(), contents))
    });
    shown.collect()
}

/// A map of the running kernel.
struct InKernel<'a>(&'a KernelMap);

impl UserMap for InKernel<'_> {
    fn next_key(&self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>, ()> {
        self.0.next_key(key).map_err(drop)
    }

    fn lookup(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.lookup(key).ok().flatten()
    }
}

/// [`contents`] of the maps that the running kernel holds.
pub fn contents_in_kernel<'a>(args: &Args, prepared: &'a Prepared, session: &Session<'_>) -> Vec<Shown<'a>> {
    let defs = prepared.object.maps.iter().enumerate().filter(|(_, def)| !def.frozen);
    let shown = defs.filter_map(|(n, def)| {
        let shape = Shape {
            map_type: def.map_type,
            key_type: def.key_type,
            value_type: def.value_type,
            value_size: def.value_size as usize,
        };
        let map = InKernel(session.map(n).ok()?);
        let contents = dump_user_map(&map, shape, prepared.object.btf.as_deref(), args.map_entries)?;
        Some((def.name.as_str(), def.map_type.to_string(), contents))
    });
    shown.collect()
}

/// Prints maps for people.
pub fn maps(args: &Args, all: &[Shown<'_>]) {
    for (name, kind, contents) in all {
        match contents {
            Contents::Variables(variables) => {
                for (name, value) in variables {
                    anstream::println!("{name} = {value}");
                }
            }
            Contents::Entries(entries) => {
                let more = if entries.len() == args.map_entries { " or more" } else { "" };
                let noun = if entries.len() == 1 { "entry" } else { "entries" };
                anstream::println!("{name} ({kind}): {}{more} {noun}", entries.len());
                for (key, value) in entries {
                    anstream::println!("  {key}: {value}");
                }
            }
        }
    }
}

/// Maps as JSON: variables as an object, entries as a list of keys and values.
pub fn maps_json(all: &[Shown<'_>]) -> Object<String, Json> {
    all.iter().map(|(name, _, contents)| ((*name).to_owned(), contents_json(contents))).collect()
}
