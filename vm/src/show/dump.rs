//! A map's contents as values, read as they are asked for.

use crate::Errno;
use crate::maps::Map;
use crate::typed::{Value, read, variables};
use ebpfkit_abi::{MapTraits, MapType};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::Kind;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use std::fmt::{self, Display, Formatter};

/// A map as user space reads it, wherever it lives.
pub trait UserMap {
    /// The key after `key`, or the first; `None` at the end. An error where the kind of map has no keys to list.
    #[allow(clippy::result_unit_err)]
    fn next_key(&self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>, ()>;

    /// The value of a key, with one for each CPU where the kind has them; `None` when it cannot be read.
    fn lookup(&self, key: &[u8]) -> Option<Vec<u8>>;
}

impl UserMap for Map {
    fn next_key(&self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>, ()> {
        let mut next = vec![0; self.key_size()];
        match self.next_key(key, &mut next) {
            Ok(()) => Ok(Some(next)),
            Err(Errno::ENOENT) => Ok(None),
            Err(_) => Err(()),
        }
    }

    fn lookup(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut value = vec![0; self.user_value_size()];
        self.user_lookup(key, &mut value, 0).ok().map(|()| value)
    }
}

/// Types and sizes that a map's contents are read by.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Kind of map.
    pub map_type: MapType,
    /// Type of keys; zero where unknown.
    pub key_type: u32,
    /// Type of values; zero where unknown.
    pub value_type: u32,
    /// Bytes of a value.
    pub value_size: usize,
}

/// A map's contents as user space sees them. As JSON a data section is an object of its variables, any other map a list
/// of objects with `key` and `value`.
#[derive(Clone, Copy)]
pub struct Dump<'m> {
    map: &'m dyn UserMap,
    shape: Shape,
    btf: Option<&'m Btf>,
    limit: usize,
}

impl<'m> Dump<'m> {
    /// The contents of a map, at most `limit` entries of it.
    pub fn new(map: &'m dyn UserMap, shape: Shape, btf: Option<&'m Btf>, limit: usize) -> Self {
        Self { map, shape, btf, limit }
    }

    /// The contents of a map of this crate.
    pub fn of(map: &'m Map, btf: Option<&'m Btf>, limit: usize) -> Self {
        let f = map.info();
        let shape = Shape {
            map_type: f.map_type,
            key_type: f.key_type,
            value_type: f.value_type,
            value_size: map.value_size(),
        };
        Self::new(map, shape, btf, limit)
    }

    /// Most entries that are listed.
    pub fn limit(&self) -> usize {
        self.limit
    }

    fn section(&self) -> Option<&'m Btf> {
        self.btf.filter(|b| b.kind(self.shape.value_type) == Some(Kind::Datasec))
    }

    /// The variables of a data section, by name; `None` for any other map.
    pub fn variables(&self) -> Option<Vec<(String, Value)>> {
        let btf = self.section()?;
        let value = self.map.lookup(&0u32.to_ne_bytes())?;
        Some(variables(btf, self.shape.value_type, &value))
    }

    /// Whether the map has contents that can be listed.
    pub fn is_listable(&self) -> bool {
        self.section().is_some() || self.map.next_key(None).is_ok()
    }

    /// How many entries are listed; `None` where the kind of map has none to list.
    pub fn count(&self) -> Option<usize> {
        self.is_listable().then(|| self.entries().count())
    }

    /// The entries. Those whose value cannot be read, as in slots that are empty, are left out.
    pub fn entries(&self) -> impl Iterator<Item = Listed<'m>> + use<'m> {
        let dump = *self;
        let mut key: Option<Vec<u8>> = None;
        let next = move || {
            let next = dump.map.next_key(key.as_deref()).ok()??;
            key = Some(next.clone());
            Some(next)
        };
        std::iter::from_fn(next)
            .filter_map(move |key| Some(Listed { value: dump.map.lookup(&key)?, key, dump }))
            .take(dump.limit)
    }
}

/// An entry of a map.
pub struct Listed<'m> {
    key: Vec<u8>,
    value: Vec<u8>,
    dump: Dump<'m>,
}

impl Listed<'_> {
    /// The key.
    pub fn key(&self) -> Shown<'_> {
        Shown { btf: self.dump.btf, ty: self.dump.shape.key_type, bytes: &self.key, each: None }
    }

    /// The value, or the values of all CPUs.
    pub fn value(&self) -> Shown<'_> {
        let Shape { map_type, value_type, value_size, .. } = self.dump.shape;
        let each = map_type.is(MapTraits::PER_CPU).then_some(value_size);
        Shown { btf: self.dump.btf, ty: value_type, bytes: &self.value, each }
    }
}

/// A key or value of a map, to be printed or serialised. Values of per-CPU maps are lists with an element for each CPU.
pub struct Shown<'a> {
    btf: Option<&'a Btf>,
    ty: u32,
    bytes: &'a [u8],
    /// Bytes of one CPU's value, where there is one for each.
    each: Option<usize>,
}

impl Shown<'_> {
    fn one(&self, bytes: &[u8]) -> Value {
        match self.btf.filter(|_| self.ty != 0) {
            Some(btf) => read(btf, self.ty, bytes),
            None => Value::Bytes(bytes.to_vec()),
        }
    }

    /// The values of all CPUs.
    fn all(&self, size: usize) -> impl Iterator<Item = Value> {
        self.bytes.chunks(size.next_multiple_of(8).max(1)).map(move |v| self.one(&v[..size.min(v.len())]))
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(size) = self.each else { return self.one(self.bytes).fmt(f) };
        f.write_str("[")?;
        for (n, value) in self.all(size).enumerate() {
            write!(f, "{}{value}", if n == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.each {
            Some(size) => to.collect_seq(self.all(size)),
            None => self.one(self.bytes).serialize(to),
        }
    }
}

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut entry = to.serialize_map(Some(2))?;
        entry.serialize_entry("key", &self.key())?;
        entry.serialize_entry("value", &self.value())?;
        entry.end()
    }
}

impl Serialize for Dump<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if let Some(variables) = self.variables() {
            return to.collect_map(variables);
        }
        let mut list = to.serialize_seq(None)?;
        self.entries().try_for_each(|entry| list.serialize_element(&entry))?;
        list.end()
    }
}
