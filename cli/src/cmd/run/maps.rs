//! The maps file: entries and variables that are set before a run, in the JSON that map contents are printed in.

use crate::files;
use crate::out::note;
use crate::paint;
use anyhow::{Context, Result, anyhow};
use ebpfkit_kernel::Session;
use ebpfkit_object::{Object, Prepared};
use ebpfkit_vm::show::{Entries, Entry, Fill, fill};
use ebpfkit_vm::{Errno, Instance};
use std::path::Path;

/// Reads the file and sets the variables in the object's data sections; gives back the entries to set.
pub fn read(path: Option<&Path>, object: &mut Object, cpus: u32) -> Result<Entries> {
    let Some(path) = path else { return Ok(Entries::default()) };
    let Fill { entries, skipped } = fill(object, &files::read_text(path)?, cpus).with_context(|| files::name(path))?;
    for name in skipped {
        note!("{} {name} is not set: its values are no data", paint::warning("note:"));
    }
    Ok(entries)
}

fn failed(object: &Object, entry: Entry<'_>, why: &str) -> anyhow::Error {
    anyhow!("{}, entry {}: {why}", object.maps[entry.map].name, entry.number)
}

/// Says that a map has no room; its error is the kernel's `E2BIG`, whose text misleads.
fn full(object: &Object, entry: Entry<'_>) -> String {
    let most = object.maps[entry.map].max_entries;
    format!("the map is full: it has room for {most} {} (max_entries)", if most == 1 { "entry" } else { "entries" })
}

/// Sets entries of an instance's maps.
pub fn set(entries: &Entries, prepared: &Prepared, instance: &Instance) -> Result<()> {
    let object = &prepared.object;
    for entry in entries.iter() {
        let map = match instance.maps().get(entry.map) {
            Some(Ok(map)) => map,
            Some(Err(e)) => return Err(failed(object, entry, &e.to_string())),
            None => return Err(failed(object, entry, "there is no such map here")),
        };
        map.user_update(entry.key, entry.value, 0).map_err(|e| match e {
            Errno::E2BIG => failed(object, entry, &full(object, entry)),
            e => failed(object, entry, &format!("the map does not take it: {} ({})", e.text(), e.name())),
        })?;
    }
    Ok(())
}

/// Sets entries of the maps that the running kernel holds.
pub fn set_in_kernel(entries: &Entries, prepared: &Prepared, session: &Session<'_>) -> Result<()> {
    for entry in entries.iter() {
        let set = session.map(entry.map).and_then(|map| map.update(entry.key, entry.value, 0));
        set.map_err(|e| {
            let is_full = e.errno() == Some(Errno::E2BIG.0);
            let why = if is_full { full(&prepared.object, entry) } else { e.to_string() };
            failed(&prepared.object, entry, &why)
        })?;
    }
    Ok(())
}
