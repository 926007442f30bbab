//! The maps file: entries and variables that are set before a run, in the JSON that map contents are printed in.

use crate::paint;
use anyhow::{Context, Result, anyhow, bail};
use ebpfkit_kernel::Session;
use ebpfkit_object::{Object, Prepared};
use ebpfkit_vm::Instance;
use ebpfkit_vm::show::{Entry, Fill, fill};
use serde_json::{Map, Value as Json};
use std::path::Path;

/// Reads the file and sets the variables in the object's data sections; gives back the entries to set. The file may
/// also be all that `run -j` printed: then the contents in its last line are taken.
pub fn read(path: Option<&Path>, object: &mut Object, cpus: u32) -> Result<Vec<Entry>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let place = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(place)?;
    let documents: Vec<Json> =
        serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>().with_context(place)?;
    let contents = contents(documents).with_context(place)?;
    let Fill { entries, skipped } = fill(object, &contents, cpus).with_context(place)?;
    for name in skipped {
        anstream::eprintln!("{} {name} is not set: its values are no data", paint::warning("note:"));
    }
    Ok(entries)
}

fn contents(mut documents: Vec<Json>) -> Result<Map<String, Json>> {
    let Some(Json::Object(mut last)) = documents.pop() else { bail!("expected an object of maps by name") };
    let printed = last.contains_key("retval") || last.contains_key("packets");
    match last.remove("maps") {
        Some(Json::Object(maps)) if printed => Ok(maps),
        Some(maps) => {
            last.insert("maps".into(), maps);
            Ok(last)
        }
        None if documents.is_empty() => Ok(last),
        None => bail!("expected one object of maps by name, or what `run -j` printed"),
    }
}

fn failed(object: &Object, entry: &Entry, why: &str) -> anyhow::Error {
    anyhow!("{}, entry {}: {why}", object.maps[entry.map].name, entry.number)
}

/// Sets entries of an instance's maps.
pub fn set(entries: &[Entry], prepared: &Prepared, instance: &Instance) -> Result<()> {
    for entry in entries {
        let fail = |why: &str| failed(&prepared.object, entry, why);
        let Some(Ok(map)) = instance.maps().get(entry.map) else { return Err(fail("there is no such map here")) };
        let text = |e: ebpfkit_vm::Errno| format!("the map does not take it: {} ({})", e.text(), e.name());
        map.user_update(&entry.key, &entry.value, 0).map_err(|e| fail(&text(e)))?;
    }
    Ok(())
}

/// Sets entries of the maps that the running kernel holds.
pub fn set_in_kernel(entries: &[Entry], prepared: &Prepared, session: &Session<'_>) -> Result<()> {
    for entry in entries {
        let set = session.map(entry.map).and_then(|map| map.update(&entry.key, &entry.value, 0));
        set.map_err(|e| failed(&prepared.object, entry, &e.to_string()))?;
    }
    Ok(())
}
