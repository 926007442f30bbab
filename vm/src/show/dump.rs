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

/// Reads at most `limit` entries of a map as user space sees them; `None` for kinds that have no entries to list.
/// Values of per-CPU maps are lists with an element for each CPU.
pub fn dump(map: &Map, btf: Option<&Btf>, limit: usize) -> Option<Contents> {
    let facts = map.facts();
    let per_cpu = per_cpu(facts.map_type);
    let typed = |ty: u32, bytes: &[u8]| match btf.filter(|_| ty != 0) {
        Some(btf) => read(btf, ty, bytes),
        None => Value::Bytes(bytes.to_vec()),
    };
    let mut value = vec![0; map.user_value_size()];
    if let Some(btf) = btf.filter(|b| b.kind(facts.value_type) == Some(Kind::Datasec)) {
        map.user_lookup(&0u32.to_ne_bytes(), &mut value, 0).ok()?;
        return Some(Contents::Variables(variables(btf, facts.value_type, &value)));
    }
    let mut entries = Vec::new();
    let mut key: Option<Vec<u8>> = None;
    while entries.len() < limit {
        let mut next = vec![0; map.key_size()];
        match map.next_key(key.as_deref(), &mut next) {
            Ok(()) => {}
            Err(Errno::ENOENT) => break,
            Err(_) => return None,
        }
        // Kinds whose slots are empty, or whose values cannot be read, are left out entry by entry.
        if map.user_lookup(&next, &mut value, 0).is_ok() {
            let shown = if per_cpu {
                let stride = map.value_size().next_multiple_of(8);
                Value::List(value.chunks(stride).map(|v| typed(facts.value_type, &v[..map.value_size()])).collect())
            } else {
                typed(facts.value_type, &value)
            };
            entries.push((typed(facts.key_type, &next), shown));
        }
        key = Some(next);
    }
    Some(Contents::Entries(entries))
}
