//! Map contents and global variables from JSON, in the form that shows them.

use super::dump::per_cpu;
use super::json::from_json;
use super::write::{Mismatch, write, write_untyped};
use ebpfkit_abi::MapType;
use ebpfkit_object::btf::{Kind, Type, TypeId};
use ebpfkit_object::{Btf, Map, MapInit, Object};
use serde_json::{Map as JsonObject, Value as Json};

/// An entry to be set, in the user's view of the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The map, by number in the object.
    pub map: usize,
    /// The entry's number in the list, from zero.
    pub number: usize,
    /// The key.
    pub key: Vec<u8>,
    /// The value; for per-CPU maps one for each CPU, each rounded up to eight bytes.
    pub value: Vec<u8>,
}

/// What there is to set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Entries, in the file's order.
    pub entries: Vec<Entry>,
    /// Maps that hold programs, other maps or the like, which cannot be written as values: they are left alone.
    pub skipped: Vec<String>,
}

/// What is wrong with contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct FillError {
    /// Map, entry and part: `blocked, entry 2, key`.
    pub place: String,
    /// What is there and what is expected.
    pub problem: String,
}

impl FillError {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

/// Whether a map's values are descriptors in the kernel.
fn holds_descriptors(kind: MapType) -> bool {
    use MapType as M;
    matches!(
        kind,
        M::ProgArray
            | M::PerfEventArray
            | M::CgroupArray
            | M::ArrayOfMaps
            | M::HashOfMaps
            | M::StackTrace
            | M::Sockmap
            | M::Sockhash
            | M::Xskmap
    )
}

/// Takes what `json` gives for the object's maps, by name: variables become initial contents of the object's data
/// sections, so that this is done before verification; entries are given back. A variable may also be named without its
/// section. `cpus` is how many values per-CPU maps have.
pub fn fill(object: &mut Object, json: &JsonObject<String, Json>, cpus: u32) -> Result<Fill, FillError> {
    let btf = object.btf.clone();
    let btf = btf.as_deref();
    let section = |map: &Map| btf.filter(|b| b.kind(map.value_type) == Some(Kind::Datasec));
    let mut out = Fill::default();
    for (name, contents) in json {
        let place = |map: &Map| map.name == *name || (!map.section.is_empty() && map.section == *name);
        let Some(number) = object.maps.iter().position(place) else {
            let holder =
                object.maps.iter_mut().find(|m| section(m).is_some_and(|b| has_variable(b, m.value_type, name)));
            let (Some(map), Some(btf)) = (holder, btf) else {
                let names: Vec<&str> = object.maps.iter().map(|m| m.name.as_str()).collect();
                return Err(FillError::new(
                    name,
                    format!("no such map or variable; the object has {}", names.join(", ")),
                ));
            };
            let one = [(name.clone(), contents.clone())].into_iter().collect();
            variables(btf, map, &one, None)?;
            continue;
        };
        let map = &mut object.maps[number];
        match (section(map), contents) {
            (Some(btf), Json::Object(all)) => variables(btf, map, all, Some(name))?,
            (Some(_), _) => return Err(FillError::new(name, "expected an object of variables")),
            (None, Json::Array(list)) if holds_descriptors(map.map_type) => {
                if !list.is_empty() {
                    out.skipped.push(name.clone());
                }
            }
            (None, Json::Array(list)) => {
                for (n, e) in list.iter().enumerate() {
                    let (key, value) = entry(btf, map, e, cpus)
                        .map_err(|(part, problem)| FillError::new(format!("{name}, entry {n}{part}"), problem))?;
                    out.entries.push(Entry { map: number, number: n, key, value });
                }
            }
            (None, _) => {
                return Err(FillError::new(name, "expected a list of objects with `key` and `value`"));
            }
        }
    }
    Ok(out)
}

fn has_variable(btf: &Btf, section: TypeId, name: &str) -> bool {
    btf.sec_vars(section).any(|v| btf.name(v.ty) == name)
}

fn variables(btf: &Btf, map: &mut Map, all: &JsonObject<String, Json>, outer: Option<&str>) -> Result<(), FillError> {
    if matches!(map.init, MapInit::Empty) {
        map.init = MapInit::Data(Vec::new());
    }
    let MapInit::Data(data) = &mut map.init else { return Ok(()) };
    data.resize(map.value_size as usize, 0);
    for (name, json) in all {
        let place = outer.map_or_else(|| name.clone(), |o| format!("{o}, {name}"));
        let found = btf.sec_vars(map.value_type).find(|v| btf.name(v.ty) == name);
        let Some((v, Type::Var { ty, .. })) = found.and_then(|v| Some((v, btf.get(v.ty)?))) else {
            let names: Vec<&str> = btf.sec_vars(map.value_type).map(|v| btf.name(v.ty)).collect();
            return Err(FillError::new(place, format!("no such variable; there are {}", names.join(", "))));
        };
        let (start, end) = (v.offset as usize, v.offset as usize + v.size as usize);
        let Some(bytes) = data.get_mut(start..end) else {
            return Err(FillError::new(place, "the variable lies outside of its section"));
        };
        typed(Some(btf), ty, json, bytes).map_err(|e| FillError::new(place, e))?;
    }
    Ok(())
}

fn typed(btf: Option<&Btf>, ty: TypeId, json: &Json, bytes: &mut [u8]) -> Result<(), String> {
    let Some(value) = from_json(json) else { return Err("null; expected a value".into()) };
    let result: Result<(), Mismatch> = match btf.filter(|_| ty != 0) {
        Some(btf) => write(btf, ty, &value, bytes),
        None => write_untyped(&value, bytes),
    };
    result.map_err(|e| e.to_string())
}

/// Key and value of an entry; the error tells the part and what is wrong with it.
fn entry(btf: Option<&Btf>, map: &Map, json: &Json, cpus: u32) -> Result<(Vec<u8>, Vec<u8>), (String, String)> {
    let shape = || (String::new(), "expected an object with `key` and `value`".to_owned());
    let Json::Object(all) = json else { return Err(shape()) };
    if let Some(other) = all.keys().find(|k| *k != "key" && *k != "value") {
        return Err((String::new(), format!("`{other}`; expected `key` and `value` only")));
    }
    let mut key = vec![0; map.key_size as usize];
    match all.get("key") {
        Some(json) => typed(btf, map.key_type, json, &mut key).map_err(|e| (", key".into(), e))?,
        // Queues, stacks and filters have none.
        None if key.is_empty() => {}
        None => return Err(shape()),
    }
    let json = all.get("value").ok_or_else(shape)?;
    let size = map.value_size as usize;
    let mut value = vec![0; size];
    if !per_cpu(map.map_type) {
        typed(btf, map.value_type, json, &mut value).map_err(|e| (", value".into(), e))?;
        return Ok((key, value));
    }
    let list = json.as_array().filter(|l| l.len() == cpus as usize);
    let list = list.ok_or_else(|| (", value".into(), format!("expected a list of {cpus}, a value for each CPU")))?;
    let stride = size.next_multiple_of(8);
    value.resize(stride * list.len(), 0);
    for (cpu, (json, bytes)) in list.iter().zip(value.chunks_mut(stride)).enumerate() {
        typed(btf, map.value_type, json, &mut bytes[..size]).map_err(|e| (format!(", value of CPU {cpu}"), e))?;
    }
    Ok((key, value))
}
