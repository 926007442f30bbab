//! A map's contents as values.

use super::{Value, read, variables};
use crate::Errno;
use crate::maps::Map;
use ebpfkit_abi::MapType;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::Kind;

/// What a map holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Contents {
    /// The variables of a data section, by name.
    Variables(Vec<(String, Value)>),
    /// Entries by key.
    Entries(Vec<(Value, Value)>),
}

impl Contents {
    /// Variables or entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Variables(v) => v.len(),
            Self::Entries(e) => e.len(),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether a map has a value for each CPU.
pub(super) fn per_cpu(kind: MapType) -> bool {
    matches!(kind, MapType::PercpuArray | MapType::PercpuHash | MapType::LruPercpuHash | MapType::PercpuCgroupStorage)
}

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

/// Reads at most `limit` entries of a map as user space sees them; `None` for kinds that have no entries to list.
/// Values of per-CPU maps are lists with an element for each CPU.
pub fn dump(map: &Map, btf: Option<&Btf>, limit: usize) -> Option<Contents> {
    let f = map.facts();
    let shape =
        Shape { map_type: f.map_type, key_type: f.key_type, value_type: f.value_type, value_size: map.value_size() };
    dump_user_map(map, shape, btf, limit)
}

/// [`dump`] of a map that may live elsewhere, such as in the running kernel.
pub fn dump_user_map(map: &dyn UserMap, shape: Shape, btf: Option<&Btf>, limit: usize) -> Option<Contents> {
    let per_cpu = per_cpu(shape.map_type);
    let typed = |ty: u32, bytes: &[u8]| match btf.filter(|_| ty != 0) {
        Some(btf) => read(btf, ty, bytes),
        None => Value::Bytes(bytes.to_vec()),
    };
    if let Some(btf) = btf.filter(|b| b.kind(shape.value_type) == Some(Kind::Datasec)) {
        let value = map.lookup(&0u32.to_ne_bytes())?;
        return Some(Contents::Variables(variables(btf, shape.value_type, &value)));
    }
    let mut entries = Vec::new();
    let mut key: Option<Vec<u8>> = None;
    while entries.len() < limit {
        let Some(next) = map.next_key(key.as_deref()).ok()? else { break };
        // Kinds whose slots are empty, or whose values cannot be read, are left out entry by entry.
        if let Some(value) = map.lookup(&next) {
            let shown = if per_cpu {
                let stride = shape.value_size.next_multiple_of(8);
                let one = |v: &[u8]| typed(shape.value_type, &v[..shape.value_size.min(v.len())]);
                Value::List(value.chunks(stride).map(one).collect())
            } else {
                typed(shape.value_type, &value)
            };
            entries.push((typed(shape.key_type, &next), shown));
        }
        key = Some(next);
    }
    Some(Contents::Entries(entries))
}
