//! The maps of an object: made and filled as libbpf does before it loads programs.

use super::check::PAGE;
use super::{Kind, Map, MapError, create};
use crate::Errno;
use ebpfkit_abi::MapType;
use ebpfkit_object::{Map as Def, MapInit, Object};
use ebpfkit_verifier::KernelModel;
use ebpfkit_verifier::memory::record;
use std::borrow::Cow;
use std::sync::Arc;

/// `max_entries` that libbpf asks the kernel for: ring buffers are whole powers of two of pages, perf event arrays have
/// a slot for each CPU unless they say otherwise.
pub fn created_size(map_type: MapType, max_entries: u32, cpus: u32) -> u32 {
    match map_type {
        MapType::PerfEventArray if max_entries == 0 => cpus,
        MapType::Ringbuf | MapType::UserRingbuf if max_entries != 0 => {
            let pages = max_entries.div_ceil(PAGE).checked_next_power_of_two();
            pages.and_then(|p| p.checked_mul(PAGE)).unwrap_or(max_entries)
        }
        _ => max_entries,
    }
}

fn sized(def: &Def, cpus: u32) -> Cow<'_, Def> {
    let entries = created_size(def.map_type, def.max_entries, cpus);
    if entries == def.max_entries {
        Cow::Borrowed(def)
    } else {
        Cow::Owned(Def { max_entries: entries, ..def.clone() })
    }
}

/// Makes all maps of an object and gives them their initial contents; slots of prog arrays hold the programs' indices
/// in the object.
pub fn create_all(object: &Object, kernel: &KernelModel, cpus: u32) -> Result<Vec<Arc<Map>>, MapError> {
    let mut maps = Vec::with_capacity(object.maps.len());
    for def in &object.maps {
        let fields = record::of_map(def, object.btf.as_deref(), kernel);
        maps.push(Arc::new(create(&sized(def, cpus), &fields, cpus)?));
    }
    for (def, map) in object.maps.iter().zip(&maps) {
        fill(def, map, &maps).map_err(|(errno, what)| MapError {
            name: def.name.clone(),
            map_type: def.map_type,
            errno,
            what,
            unsupported: false,
        })?;
        if def.frozen {
            map.freeze();
        }
    }
    Ok(maps)
}

fn fill(def: &Def, map: &Map, maps: &[Arc<Map>]) -> Result<(), (Errno, String)> {
    let slot = |index: u32, errno| (errno, format!("slot {index} cannot be filled"));
    match (&def.init, map.kind()) {
        (MapInit::Empty, _) => Ok(()),
        (MapInit::Data(bytes), Kind::Array(_) | Kind::StructOps(_)) => {
            let mut value = bytes.clone();
            value.resize(map.value_size(), 0);
            map.user_update(&[0; 4], &value, 0).map_err(|errno| (errno, "contents cannot be set".to_owned()))
        }
        (MapInit::Maps(slots), Kind::Maps(outer)) => slots.iter().try_for_each(|&(index, inner)| {
            let inner = maps.get(inner).ok_or_else(|| (Errno::EBADF, format!("no map {inner} for slot {index}")))?;
            let mut key = vec![0; map.key_size()];
            let n = key.len().min(4);
            key[..n].copy_from_slice(&index.to_ne_bytes()[..n]);
            outer.set(&key, inner, 0).map_err(|errno| slot(index, errno))
        }),
        (MapInit::Programs(slots), Kind::Slots(array)) => slots
            .iter()
            .try_for_each(|&(index, program)| array.set(index, program as u64).map_err(|errno| slot(index, errno))),
        _ => Err((Errno::EINVAL, "initial contents do not fit the map type".to_owned())),
    }
}
