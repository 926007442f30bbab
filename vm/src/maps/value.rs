//! Layout of a map's values: ordinary bytes and special fields.
//!
//! Updates copy the ordinary bytes only; locks, timers, kptrs and the like stay (`copy_map_value`). What user space
//! reads has zeros in their place.

use super::mem;
use crate::Errno;
use crate::helpers::objects;
use ebpfkit_object::record::{FieldKind, Record};
use std::sync::atomic::{AtomicU64, Ordering};

/// Size and fields of a value.
#[derive(Debug)]
pub struct ValueLayout {
    size: usize,
    fields: Record,
    /// Ordinary bytes between the fields: start and end.
    spans: Vec<(usize, usize)>,
}

impl ValueLayout {
    /// From the value's size and its special fields; fields that do not fit are ignored.
    pub fn new(size: usize, fields: &Record) -> Self {
        let mut spans = Vec::new();
        let mut at = 0;
        let mut kept = Record::default();
        for f in &fields.fields {
            let (start, end) = (f.offset as usize, (f.offset as usize).saturating_add(f.size as usize));
            if start < at || end > size {
                continue;
            }
            if start > at {
                spans.push((at, start));
            }
            at = end;
            kept.fields.push(*f);
        }
        if at < size {
            spans.push((at, size));
        }
        Self { size, fields: kept, spans }
    }

    /// Bytes of a value.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The special fields.
    pub fn fields(&self) -> &Record {
        &self.fields
    }

    /// Offset of the `bpf_spin_lock`, if there is one.
    pub fn spin_lock(&self) -> Option<usize> {
        self.fields.find(FieldKind::SpinLock).map(|f| f.offset as usize)
    }

    /// Copies a value's ordinary bytes into the map.
    ///
    /// # Safety
    /// `dst` is a value of this layout; `src` has at least its size.
    pub unsafe fn write(&self, dst: *mut u8, src: &[u8]) {
        for &(start, end) in &self.spans {
            // SAFETY: spans lie inside the value.
            unsafe { mem::store(dst.add(start), &src[start..end]) };
        }
    }

    /// [`ValueLayout::write`] under the value's own lock (`BPF_F_LOCK`).
    ///
    /// # Safety
    /// As for `write`.
    pub unsafe fn write_locked(&self, dst: *mut u8, src: &[u8]) -> Result<(), Errno> {
        let lock = self.spin_lock().ok_or(Errno::EINVAL)?;
        // SAFETY: the lock lies inside the value, aligned to 4 by its type.
        unsafe { mem::locked(dst.add(lock), || self.write(dst, src)) }
    }

    /// Zeroes a value's ordinary bytes.
    ///
    /// # Safety
    /// `dst` is a value of this layout.
    pub unsafe fn clear(&self, dst: *mut u8) {
        for &(start, end) in &self.spans {
            // SAFETY: spans lie inside the value.
            unsafe { mem::zero(dst.add(start), end - start) };
        }
    }

    /// Copies a value out; special fields read as zeros. Bytes past the value's size are left alone.
    ///
    /// # Safety
    /// `src` is a value of this layout; `dst` has at least its size.
    pub unsafe fn read(&self, src: *const u8, dst: &mut [u8]) {
        for &(start, end) in &self.spans {
            // SAFETY: spans lie inside the value.
            unsafe { mem::load(src.add(start), &mut dst[start..end]) };
        }
        for f in &self.fields.fields {
            dst[f.offset as usize..(f.offset + f.size) as usize].fill(0);
        }
    }

    /// [`ValueLayout::read`] under the value's own lock (`BPF_F_LOCK`).
    ///
    /// # Safety
    /// As for `read`.
    pub unsafe fn read_locked(&self, src: *mut u8, dst: &mut [u8]) -> Result<(), Errno> {
        let lock = self.spin_lock().ok_or(Errno::EINVAL)?;
        // SAFETY: the lock lies inside the value, aligned to 4 by its type.
        unsafe { mem::locked(src.add(lock), || self.read(src, dst)) }
    }

    /// Whether a field owns objects.
    pub fn owns_objects(&self) -> bool {
        use FieldKind as F;
        let owns = |f: F| matches!(f, F::KptrRef | F::KptrPercpu | F::ListHead | F::RbRoot);
        self.fields.fields.iter().any(|f| owns(f.kind))
    }

    /// Empties the fields that own something (timers, kptrs, lists, trees); objects lose an owner.
    ///
    /// # Safety
    /// `value` is a value of this layout.
    pub unsafe fn free_fields(&self, value: *mut u8) {
        for f in &self.fields.fields {
            match f.kind {
                FieldKind::SpinLock | FieldKind::ResSpinLock | FieldKind::Refcount => continue,
                FieldKind::ListNode | FieldKind::RbNode => continue,
                _ => {}
            }
            // SAFETY: the field lies inside the value and starts with an aligned pointer.
            unsafe {
                let field = value.add(f.offset as usize);
                if f.size >= 8 && (field as usize).is_multiple_of(8) {
                    let old = AtomicU64::from_ptr(field.cast()).swap(0, Ordering::AcqRel);
                    match f.kind {
                        FieldKind::KptrRef | FieldKind::KptrPercpu => objects::release(old),
                        FieldKind::ListHead => objects::release_list(field as u64, old),
                        FieldKind::RbRoot => objects::release_tree(old),
                        _ => {}
                    }
                }
                mem::zero(field, f.size as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::World;
    use crate::helpers::heap;
    use crate::maps::{Surroundings, create_in};
    use ebpfkit_abi::MapType;
    use ebpfkit_object::Map as Def;
    use ebpfkit_object::record::Field;

    #[test]
    fn objects_lose_an_owner_when_their_value_goes() {
        let field =
            |kind, offset, size| Field { kind, offset, size, btf: Default::default(), type_id: 0, node_offset: 0 };
        let fields =
            [field(FieldKind::KptrRef, 0, 8), field(FieldKind::ListHead, 8, 16), field(FieldKind::RbRoot, 24, 16)];
        let record = Record { fields: fields.into() };
        let word = |address: u64, value: u64| {
            // SAFETY: the address lies in a value of the map or in an object; nobody else uses them.
            unsafe { (address as *mut u64).write(value) };
        };
        for map_type in [MapType::Array, MapType::Hash, MapType::LruHash] {
            for by_drop in [false, true] {
                let around = Surroundings::of(&World::default());
                let def = Def { map_type, key_size: 4, value_size: 48, max_entries: 4, ..Def::default() };
                let map = create_in(&def, &record, &around).expect("a map");
                map.update(&[1, 0, 0, 0], &[0; 48], 0, 0).expect("it fits");
                let value = map.lookup(&[1, 0, 0, 0], 0).expect("it is there").as_ptr() as u64;
                let objects: [u64; 5] = std::array::from_fn(|_| heap::alloc(heap::Kind::Own, 64));
                let [alone, first, second, top, left] = objects;
                word(value, alone);
                // A list of two, and a tree of two.
                for (at, to) in [(value + 8, first), (first, second), (second, value + 8), (value + 24, top)] {
                    word(at, to);
                }
                word(top + 16, left);
                if by_drop {
                    drop(map);
                } else if map_type == MapType::Array {
                    map.update(&[1, 0, 0, 0], &[0; 48], 0, 0).expect("it fits");
                } else {
                    map.delete(&[1, 0, 0, 0]).expect("it is there");
                }
                let alive = objects.map(|o| heap::object_at(o).is_some());
                assert_eq!(alive, [false; 5], "{map_type}, {by_drop}");
            }
        }
    }
}
