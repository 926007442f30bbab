//! Map contents and global variables from JSON, in the form that shows them. The text is read entry by entry, so that a
//! large file takes little more memory than the entries themselves.

use crate::typed::{MAX_DEPTH, Mismatch, Value, write, write_untyped};
use ebpfkit_abi::{MapTraits, MapType};
use ebpfkit_object::btf::{Kind, Type, TypeId};
use ebpfkit_object::{Btf, Map, MapInit, Object, nearest};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt::{self, Formatter};
use std::marker::PhantomData;

/// Most bytes that the entries of one file may have.
const MAX_BYTES: usize = 1 << 30;
/// Most names that a message lists.
const MAX_LISTED: usize = 20;

/// An entry to be set, in the user's view of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The map, by number in the object.
    pub map: usize,
    /// The entry's number in the list, from zero.
    pub number: usize,
    /// The key.
    pub key: &'a [u8],
    /// The value; for per-CPU maps one for each CPU, each rounded up to eight bytes.
    pub value: &'a [u8],
}

/// The entries of one list, whose keys and values have one size.
#[derive(Clone, Debug, PartialEq, Eq)]
struct List {
    map: usize,
    key_size: usize,
    entry_size: usize,
    count: usize,
    bytes: Vec<u8>,
}

/// Entries to be set, in the file's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries(Vec<List>);

impl Entries {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.0.iter().flat_map(|list| {
            (0..list.count).map(|number| {
                let entry = &list.bytes[number * list.entry_size..][..list.entry_size];
                let (key, value) = entry.split_at(list.key_size);
                Entry { map: list.map, number, key, value }
            })
        })
    }
}

/// What there is to set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Entries.
    pub entries: Entries,
    /// Maps that hold programs, other maps or the like, which cannot be written as values: they are left alone.
    pub skipped: Vec<String>,
}

/// What is wrong with contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}{}{problem}", if location.is_empty() { "" } else { ": " })]
pub struct FillError {
    /// Map, entry and part: `blocked, entry 2, key`.
    pub location: String,
    /// What is there and what is expected.
    pub problem: String,
}

impl FillError {
    fn new(location: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { location: location.into(), problem: problem.into() }
    }
}

/// Whether a map's values are objects of the kernel, or what it alone writes.
fn is_filled_by_kernel(kind: MapType) -> bool {
    kind.is(MapTraits::DESCRIPTORS) || kind == MapType::StackTrace
}

/// The members of an object, as text.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'t> Visitor<'t> for Reader {
            type Value = Members<'t>;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = from.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Reader)
    }
}

/// A part of a text that is already known to be JSON. The error has no place in the text, as the part is not all of it.
fn parse<'t, T: Deserialize<'t>>(text: &'t RawValue) -> Result<T, String> {
    serde_json::from_str(text.get()).map_err(|e| without_position(&e))
}

fn without_position(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

fn is_object(text: &RawValue) -> bool {
    text.get().starts_with('{')
}

/// The object of maps by name: the text itself, or the field `maps` in the last line of what a run has printed.
fn contents(text: &str) -> Result<Members<'_>, String> {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Members<'_>>();
    let (mut last, mut count) = (None, 0usize);
    for document in &mut documents {
        last = Some(document.map_err(|e| format!("{e}; expected an object of maps by name"))?);
        count += 1;
    }
    let Some(Members(members)) = last else { return Err("no text; expected an object of maps by name".into()) };
    let has = |name: &str| members.iter().any(|(n, _)| n == name);
    let maps = members.iter().find(|(name, text)| name == "maps" && is_object(text));
    match maps {
        Some((_, maps)) if has("retval") || has("packets") || has("fault") => parse(maps),
        _ if count == 1 => Ok(Members(members)),
        _ => Err("expected one object of maps by name, or what `run -j` printed".into()),
    }
}

/// Takes what a JSON text gives for the object's maps, by name: variables become initial contents of the object's data
/// sections, so that this is done before verification; entries are given back. A variable may also be named without its
/// section. `cpus` is how many values per-CPU maps have.
///
/// The text may also be all that `ebpfkit run -j` printed: then the contents in its last line are taken.
pub fn fill(object: &mut Object, text: &str, cpus: u32) -> Result<Fill, FillError> {
    let btf = object.btf.clone();
    let btf = btf.as_deref();
    let section = |map: &Map| btf.filter(|b| b.kind(map.value_type) == Some(Kind::Datasec));
    let Members(all) = contents(text).map_err(|problem| FillError::new("", problem))?;
    let (mut out, mut bytes) = (Fill::default(), 0);
    for (name, text) in all {
        let named = |map: &Map| map.name == name || (!map.section.is_empty() && map.section == name);
        let Some(number) = object.maps.iter().position(named) else {
            let holder =
                object.maps.iter_mut().find(|m| section(m).is_some_and(|b| has_variable(b, m.value_type, &name)));
            let (Some(map), Some(btf)) = (holder, btf) else { return Err(nothing_named(object, btf, &name)) };
            variables(btf, map, &[(name, text)], None)?;
            continue;
        };
        let map = &mut object.maps[number];
        if let Some(btf) = section(map) {
            let Members(all) = parse(text).map_err(|_| FillError::new(&name, "expected an object of variables"))?;
            variables(btf, map, &all, Some(&name))?;
            continue;
        }
        if !text.get().starts_with('[') {
            return Err(FillError::new(name, "expected a list of objects with `key` and `value`"));
        }
        if is_filled_by_kernel(map.map_type) {
            if !matches!(text.get().trim_start_matches(['[', ' ', '\n', '\t', '\r']), "]") {
                out.skipped.push(name);
            }
            continue;
        }
        let list = entries(btf, map, number, &name, text, (cpus, MAX_BYTES - bytes))?;
        bytes += list.bytes.len();
        out.entries.0.push(list);
    }
    Ok(out)
}

fn has_variable(btf: &Btf, section: TypeId, name: &str) -> bool {
    btf.sec_vars(section).any(|v| btf.name(v.ty) == name)
}

/// What was probably meant, or else the names that there are.
fn choices<'n>(wrong: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    if let Some(like) = nearest(wrong, names.clone()) {
        return format!("; did you mean `{like}`?");
    }
    let more = if names.clone().nth(MAX_LISTED).is_some() { ", ..." } else { "" };
    let listed: Vec<&str> = names.take(MAX_LISTED).collect();
    format!("; there are {}{more}", if listed.is_empty() { "none".into() } else { listed.join(", ") })
}

fn nothing_named(object: &Object, btf: Option<&Btf>, name: &str) -> FillError {
    let maps = object.maps.iter().map(|m| m.name.as_str());
    let in_sections = object.maps.iter().filter_map(|m| {
        let btf = btf.filter(|b| b.kind(m.value_type) == Some(Kind::Datasec))?;
        Some(btf.sec_vars(m.value_type).map(move |v| btf.name(v.ty)))
    });
    FillError::new(name, format!("no such map or variable{}", choices(name, maps.chain(in_sections.flatten()))))
}

fn variables(btf: &Btf, map: &mut Map, all: &[(String, &RawValue)], outer: Option<&str>) -> Result<(), FillError> {
    if matches!(map.init, MapInit::Empty) {
        map.init = MapInit::Data(Vec::new());
    }
    let MapInit::Data(data) = &mut map.init else { return Ok(()) };
    data.resize(map.value_size as usize, 0);
    for (name, text) in all {
        let location = outer.map_or_else(|| name.clone(), |o| format!("{o}, {name}"));
        let found = btf.sec_vars(map.value_type).find(|v| btf.name(v.ty) == name);
        let Some((v, Type::Var { ty, .. })) = found.and_then(|v| Some((v, btf.get(v.ty)?))) else {
            let names = btf.sec_vars(map.value_type).map(|v| btf.name(v.ty));
            return Err(FillError::new(location, format!("no such variable{}", choices(name, names))));
        };
        let (start, end) = (v.offset as usize, v.offset as usize + v.size as usize);
        let Some(bytes) = data.get_mut(start..end) else {
            return Err(FillError::new(location, "the variable lies outside of its section"));
        };
        typed(Some(btf), ty, text, bytes).map_err(|e| FillError::new(location, e))?;
    }
    Ok(())
}

fn typed(btf: Option<&Btf>, ty: TypeId, text: &RawValue, bytes: &mut [u8]) -> Result<(), String> {
    nested(btf, ty, text, bytes, MAX_DEPTH).map_err(|e| e.to_string())
}

/// Writes a value of a type over `bytes`. The elements of arrays are read one by one, so that a large one takes little
/// memory; what is nested deeper than `depth` is read whole.
fn nested(btf: Option<&Btf>, ty: TypeId, text: &RawValue, bytes: &mut [u8], depth: u32) -> Result<(), Mismatch> {
    let wrong = |found: String| Mismatch { path: String::new(), found, expected: "a value".into() };
    if text.get() == "null" {
        return Err(wrong("null".into()));
    }
    let btf = btf.filter(|_| ty != 0);
    if let (Some(btf), true, Some(depth)) = (btf, text.get().starts_with('['), depth.checked_sub(1))
        && let Some(Type::Array { elem, len, .. }) = btf.get(btf.resolve(ty))
        && let size @ 1.. = btf.size_of(elem).unwrap_or(0) as usize
        && bytes.len() == size * len as usize
    {
        let mut elements = bytes.chunks_exact_mut(size);
        let count = each(text, |n, item: &RawValue| match elements.next() {
            Some(bytes) => nested(Some(btf), elem, item, bytes, depth).map_err(|e| e.inside(&format!("[{n}]"))),
            None => Ok(()),
        });
        let count = count.map_err(|e| wrong(without_position(&e)))??;
        if count != len as usize {
            let (found, expected) = (format!("a list of {count}"), format!("a list of {len}"));
            return Err(Mismatch { path: String::new(), found, expected });
        }
        return Ok(());
    }
    let value: Value = parse(text).map_err(wrong)?;
    match btf {
        Some(btf) => write(btf, ty, &value, bytes),
        None => write_untyped(&value, bytes),
    }
}

/// An entry as text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryText<'t> {
    #[serde(borrow)]
    key: Option<&'t RawValue>,
    #[serde(borrow)]
    value: Option<&'t RawValue>,
}

/// Calls a function with each element of a list and its number, one after the other; how many there are.
fn each<'t, T: Deserialize<'t>, E>(
    text: &'t RawValue,
    with: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<Result<usize, E>, serde_json::Error> {
    struct Each<T, F>(F, PhantomData<T>);
    impl<'t, T: Deserialize<'t>, E, F: FnMut(usize, T) -> Result<(), E>> Visitor<'t> for Each<T, F> {
        type Value = Result<usize, E>;

        fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'t>>(mut self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut count = 0;
            while let Some(element) =
                from.next_element().map_err(|e| A::Error::custom(format_args!("entry {count}: {e}")))?
            {
                if let Err(e) = (self.0)(count, element) {
                    return Ok(Err(e));
                }
                count += 1;
            }
            Ok(Ok(count))
        }
    }
    serde_json::Deserializer::from_str(text.get()).deserialize_seq(Each(with, PhantomData))
}

/// The entries of one map, which may have `cpus` values each and `size` bytes in all.
fn entries(
    btf: Option<&Btf>,
    map: &Map,
    number: usize,
    name: &str,
    text: &RawValue,
    (cpus, size): (u32, usize),
) -> Result<List, FillError> {
    let key_size = map.key_size as usize;
    let value_size = match map.map_type.is(MapTraits::PER_CPU) {
        true => (map.value_size as usize).next_multiple_of(8).saturating_mul(cpus as usize),
        false => map.value_size as usize,
    };
    let entry_size = key_size.saturating_add(value_size);
    let mut list = List { map: number, key_size, entry_size, count: 0, bytes: Vec::new() };
    let result = each(text, |n, e: EntryText<'_>| {
        let start = list.bytes.len();
        if size - start < entry_size {
            return Err(FillError::new(format!("{name}, entry {n}"), "more than 1 GiB of entries in all"));
        }
        list.bytes.resize(start + entry_size, 0);
        let (key, value) = list.bytes[start..].split_at_mut(key_size);
        list.count += 1;
        entry(btf, map, &e, (key, value), cpus)
            .map_err(|(part, problem)| FillError::new(format!("{name}, entry {n}{part}"), problem))
    });
    match result {
        Ok(result) => result.map(|_| list),
        Err(e) => Err(FillError::new(name, without_position(&e))),
    }
}

/// Writes key and value of an entry; the error tells the part and what is wrong with it.
fn entry(
    btf: Option<&Btf>,
    map: &Map,
    text: &EntryText<'_>,
    (key, value): (&mut [u8], &mut [u8]),
    cpus: u32,
) -> Result<(), (String, String)> {
    let shape = || (String::new(), "expected an object with `key` and `value`".to_owned());
    match text.key {
        Some(text) => typed(btf, map.printed_types().0, text, key).map_err(|e| (", key".into(), e))?,
        // Queues, stacks and filters have none.
        None if key.is_empty() => {}
        None => return Err(shape()),
    }
    let text = text.value.ok_or_else(shape)?;
    if !map.map_type.is(MapTraits::PER_CPU) {
        return typed(btf, map.printed_types().1, text, value).map_err(|e| (", value".into(), e));
    }
    let list: Option<Vec<&RawValue>> = parse(text).ok().filter(|l: &Vec<_>| l.len() == cpus as usize);
    let list = list.ok_or_else(|| (", value".into(), format!("expected a list of {cpus}, a value for each CPU")))?;
    let size = map.value_size as usize;
    for (cpu, (text, bytes)) in list.iter().zip(value.chunks_mut(size.next_multiple_of(8).max(1))).enumerate() {
        typed(btf, map.printed_types().1, text, &mut bytes[..size])
            .map_err(|e| (format!(", value of CPU {cpu}"), e))?;
    }
    Ok(())
}
