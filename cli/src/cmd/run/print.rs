//! What a run leaves behind: events, faults, map contents; for people and as JSON.

use super::Args;
use crate::paint;
use ebpfkit_explain::source;
use ebpfkit_object::Prepared;
use ebpfkit_vm::show::{Contents, contents_json, dump};
use ebpfkit_vm::{Event, Fault, Instance, Run};
use serde::Serialize;
use serde_json::{Map as Object, Value as Json};

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
pub fn event(event: &Event) {
    match event {
        Event::Printk(text) => anstream::println!("printk: {}", text.trim_end_matches('\n')),
        Event::Perf { map, index, data } => anstream::println!("event of {map}[{index}]: {}", hex(data)),
        Event::Ring { map, data } => anstream::println!("event of {map}: {}", hex(data)),
        other => anstream::println!("event: {other:?}"),
    }
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

/// Maps worth showing: those that programs can change, with their contents.
fn contents<'a>(args: &Args, prepared: &'a Prepared, instance: &Instance) -> Vec<(&'a str, String, Contents)> {
    let defs = prepared.object.maps.iter().zip(instance.maps());
    let shown = defs.filter(|(def, _)| !def.frozen).filter_map(|(def, map)| {
        let map = map.as_ref().ok()?;
        let contents = dump(map, prepared.object.btf.as_deref(), args.map_entries)?;
        Some((def.name.as_str(), map.facts().map_type.to_string(), contents))
    });
    shown.collect()
}

/// Prints the maps for people.
pub fn maps(args: &Args, prepared: &Prepared, instance: &Instance) {
    for (name, kind, contents) in contents(args, prepared, instance) {
        match &contents {
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

/// The maps as JSON: variables as an object, entries as a list of keys and values.
pub fn maps_json(args: &Args, prepared: &Prepared, instance: &Instance) -> Object<String, Json> {
    let all = contents(args, prepared, instance).into_iter();
    all.map(|(name, _, contents)| (name.to_owned(), contents_json(&contents))).collect()
}
