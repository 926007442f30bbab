//! What the kernel refuses of types with special fields: in maps, and in objects that programs allocate.

use super::FieldKind::*;
use super::read::{is_special, read};
use super::{Field, FieldKind, KernelTypes, Malformed, Record, malformed};
use crate::btf::{BtfRef, Kind, Type, TypeId};
use crate::{Btf, Map};
use ebpfkit_abi::limits::PAGE_SIZE;
use ebpfkit_abi::{Errno, MapType, map_flags};
use rustc_hash::{FxHashMap, FxHashSet};

/// Whether the kernel makes a map with the types that its definition names (`map_check_btf`). Loaders make one that it
/// refuses once more, without them.
pub fn map_takes_types(def: &Map, btf: &Btf, kernel: KernelTypes<'_>) -> Result<(), Malformed> {
    let (key, value) = (btf.resolve(def.key_type), btf.resolve(def.value_type));
    let sized = |ty, size| btf.size_of(ty) == Some(size);
    if key != 0 && !sized(key, def.key_size) {
        return malformed(Errno::EINVAL, "a key type of another size");
    }
    if !sized(value, def.value_size) {
        return malformed(Errno::EINVAL, "a value type of another size");
    }
    fields_fit(def, btf, &read(btf, kernel, value, FieldKind::is_in_maps).unwrap_or_default())?;
    if key_fits(def, btf, key, value) { Ok(()) } else { malformed(Errno::EINVAL, "a key of another type") }
}

/// Whether a map of this type may have these fields in its values.
fn fields_fit(def: &Map, btf: &Btf, record: &Record) -> Result<(), Malformed> {
    let map = def.map_type;
    if !record.fields.is_empty() && def.flags & map_flags::PROG_ACCESS != 0 {
        return malformed(Errno::EACCES, "special fields where programs cannot both read and write");
    }
    let allowed = |kind: FieldKind| kind.class().is_some_and(|class| map.row().fields.contains(class));
    for f in &record.fields {
        if !allowed(f.kind) {
            return malformed(Errno::EOPNOTSUPP, format!("{} in a map of type {map}", f.kind.name()));
        }
        // The user's memory behind a uptr is one page, and nothing of the kernel's.
        if f.kind == Uptr && f.btf == BtfRef::Vmlinux {
            return malformed(Errno::EINVAL, "a uptr to a struct of the kernel");
        }
        let size = if f.kind == Uptr { btf.size_of(f.type_id).unwrap_or(0) } else { 1 };
        if size == 0 || size > PAGE_SIZE {
            let errno = if size == 0 { Errno::EINVAL } else { Errno::E2BIG };
            return malformed(errno, format!("a uptr to {size} bytes"));
        }
    }
    Ok(())
}

/// Whether a map of this type may have keys of this type.
fn key_fits(def: &Map, btf: &Btf, key: TypeId, value: TypeId) -> bool {
    use MapType as M;
    let int = |bits| matches!(btf.get(key), Some(Type::Int { encoding, .. }) if encoding.bits == bits && encoding.bit_offset == 0);
    match def.map_type {
        M::Array if key == 0 => def.max_entries == 1 && btf.kind(value) == Some(Kind::Datasec),
        M::Array | M::PercpuArray | M::SkStorage | M::InodeStorage | M::TaskStorage | M::CgrpStorage => int(32),
        M::LpmTrie => btf.kind(key) == Some(Kind::Struct),
        M::BloomFilter => key == 0,
        M::CgroupStorage | M::PercpuCgroupStorage if def.key_size == 8 => int(64),
        _ => key != 0,
    }
}

/// Checks the structs of a program's types that objects can be allocated of; the first that the kernel refuses, and all
/// types with it (`btf_parse_struct_metas`).
pub fn check_structs(btf: &Btf, kernel: KernelTypes<'_>) -> Result<(), (TypeId, Malformed)> {
    let special: FxHashSet<TypeId> = (1..btf.len())
        .filter(|&id| matches!(btf.kind(id), Some(Kind::Struct | Kind::Ptr | Kind::Volatile)) && is_special(btf, id))
        .collect();
    if special.is_empty() {
        return Ok(());
    }
    let mut records = FxHashMap::default();
    let structs = (1..btf.len()).filter(|&id| btf.kind(id) == Some(Kind::Struct));
    for id in structs.filter(|&id| btf.members(id).any(|m| special.contains(&m.ty))) {
        let record = read(btf, kernel, id, FieldKind::is_in_objects).map_err(|why| (id, why))?;
        if record.fields.is_empty() {
            return Err((id, Malformed { errno: Errno::EFAULT, what: "a special field that is none".to_owned() }));
        }
        records.insert(id, record);
    }
    let mut ids: Vec<TypeId> = records.keys().copied().collect();
    ids.sort_unstable();
    ids.into_iter().try_for_each(|id| check_ownership(&records, id).map_err(|why| (id, why)))
}

/// Objects that lists and trees hold have nodes, so that their records are known; and an object that is in one list or
/// tree and has another does not hold objects that have others again: none may come to own itself.
fn check_ownership(records: &FxHashMap<TypeId, Record>, id: TypeId) -> Result<(), Malformed> {
    let Some(record) = records.get(&id) else { return Ok(()) };
    let is_root = |f: &&Field| matches!(f.kind, ListHead | RbRoot);
    let is_node = record.has(ListNode) || record.has(RbNode);
    for f in record.fields.iter().filter(is_root) {
        let Some(held) = records.get(&f.type_id) else {
            return malformed(Errno::EFAULT, format!("{} of plain structs", f.kind.name()));
        };
        if is_node && held.fields.iter().any(|f| is_root(&f)) {
            return malformed(Errno::ELOOP, "lists or trees that may come to hold each other");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::of_map;
    use super::*;
    use crate::btf::IntEncoding;
    use crate::write::{BtfBuilder, NewMember};
    use ebpfkit_isa::Endian;

    const INT: IntEncoding = IntEncoding { signed: false, char: false, bool: false, bit_offset: 0, bits: 32 };

    fn member(name: &str, ty: TypeId, byte: u32) -> NewMember {
        NewMember { name: name.into(), ty, bit_offset: 8 * byte }
    }

    /// Types with an integer, a struct of a lock and a number, and whatever is made of them; the map's value type.
    fn map_of(make: impl FnOnce(&mut BtfBuilder, TypeId) -> TypeId) -> (Btf, Map) {
        let mut b = BtfBuilder::new(Endian::Little);
        let int = b.int("unsigned int", 4, INT);
        let lock = b.composite(false, "bpf_spin_lock", 4, &[member("val", int, 0)]);
        let value = b.composite(false, "", 8, &[member("lock", lock, 0), member("n", int, 4)]);
        let value_type = make(&mut b, value);
        let btf = Btf::parse(b.finish()).expect("types that were just made");
        let value_size = btf.size_of(value_type).unwrap_or(0);
        let map_type = MapType::Array;
        (btf, Map { map_type, key_size: 4, value_size, max_entries: 1, key_type: int, value_type, ..Map::default() })
    }

    #[test]
    fn values_are_seen_through_modifiers() {
        for make in [
            |_: &mut BtfBuilder, t| t,
            |b: &mut BtfBuilder, t| b.reference(Kind::Typedef, "value_t", t),
            |b: &mut BtfBuilder, t| {
                let typedef = b.reference(Kind::Typedef, "value_t", t);
                b.reference(Kind::Const, "", typedef)
            },
        ] {
            let (btf, map) = map_of(make);
            assert_eq!(map_takes_types(&map, &btf, &|| None), Ok(()));
            assert!(of_map(&map, Some(&btf), &|| None).has(SpinLock));
        }
    }

    #[test]
    fn unions_hide_what_is_in_them() {
        let (btf, map) = map_of(|b, value| {
            let either = b.composite(true, "", 8, &[member("it", value, 0)]);
            b.composite(false, "outer", 8, &[member("either", either, 0)])
        });
        assert_eq!(of_map(&map, Some(&btf), &|| None), Record::default());
    }

    #[test]
    fn maps_too_small_for_fields_take_no_types() {
        let (btf, map) = map_of(|_, t| t);
        let lru = Map { map_type: MapType::LruHash, ..map.clone() };
        assert_eq!(map_takes_types(&lru, &btf, &|| None).map_err(|e| e.errno), Err(Errno::EOPNOTSUPP));
        let wide = Map { key_type: map.value_type, key_size: 8, ..map };
        assert_eq!(map_takes_types(&wide, &btf, &|| None).map_err(|e| e.errno), Err(Errno::EINVAL));
    }
}
