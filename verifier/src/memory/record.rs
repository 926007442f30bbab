//! Special fields of map values and allocated objects (`struct btf_record`).

use crate::reg::BtfRef;
use ebpfkit_object::btf::{Type, TypeId};
use ebpfkit_object::{Btf, Map};

/// Kinds of special fields (`enum btf_field_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum FieldKind {
    SpinLock,
    ResSpinLock,
    Timer,
    Workqueue,
    TaskWork,
    KptrUnref,
    KptrRef,
    KptrPercpu,
    Uptr,
    ListHead,
    ListNode,
    RbRoot,
    RbNode,
    Refcount,
}

/// One special field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Kind.
    pub kind: FieldKind,
    /// Byte offset in the value.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Pointee of a kptr or uptr; element type of a list head or tree root.
    pub btf: BtfRef,
    /// See `btf`.
    pub type_id: TypeId,
    /// Offset of the node in the element, for list heads and tree roots.
    pub node_offset: u32,
}

/// The special fields of a type, by offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Fields.
    pub fields: Vec<Field>,
}

impl Record {
    /// First field of a kind.
    pub fn find(&self, kind: FieldKind) -> Option<&Field> {
        self.fields.iter().find(|f| f.kind == kind)
    }

    /// Field of any kind that starts at this offset.
    pub fn at(&self, offset: u32) -> Option<&Field> {
        self.fields.iter().find(|f| f.offset == offset)
    }
}

/// Kinds by the name of the struct that stands for them.
const BY_STRUCT: &[(&str, FieldKind)] = &[
    ("bpf_spin_lock", FieldKind::SpinLock),
    ("bpf_res_spin_lock", FieldKind::ResSpinLock),
    ("bpf_timer", FieldKind::Timer),
    ("bpf_wq", FieldKind::Workqueue),
    ("bpf_task_work", FieldKind::TaskWork),
    ("bpf_list_head", FieldKind::ListHead),
    ("bpf_list_node", FieldKind::ListNode),
    ("bpf_rb_root", FieldKind::RbRoot),
    ("bpf_rb_node", FieldKind::RbNode),
    ("bpf_refcount", FieldKind::Refcount),
];

/// Kinds by the type tag on a pointer's target.
const BY_TAG: &[(&str, FieldKind)] = &[
    ("kptr_untrusted", FieldKind::KptrUnref),
    ("kptr", FieldKind::KptrRef),
    ("percpu_kptr", FieldKind::KptrPercpu),
    ("uptr", FieldKind::Uptr),
];

/// Nested types deeper than this hold nothing special.
const MAX_DEPTH: u32 = 8;

/// The special fields of a map's value type. Of an array of special elements only the first is listed.
pub fn of_map(def: &Map, btf: Option<&Btf>, kernel: &crate::KernelModel) -> Record {
    let _ = kernel;
    let mut record = Record::default();
    if let Some(btf) = btf.filter(|_| def.value_type != 0) {
        collect(btf, def.value_type, 0, MAX_DEPTH, &mut record);
    }
    record.fields.sort_by_key(|f| f.offset);
    record
}

fn collect(btf: &Btf, ty: TypeId, offset: u32, depth: u32, record: &mut Record) {
    let ty = btf.resolve(ty);
    let field = |kind, size| Field { kind, offset, size, btf: BtfRef::Program, type_id: 0, node_offset: 0 };
    match btf.get(ty) {
        Some(Type::Struct(c) | Type::Union(c)) => {
            if let Some(&(_, kind)) = BY_STRUCT.iter().find(|(name, _)| *name == btf.name(ty)) {
                record.fields.push(field(kind, c.size));
            } else if depth > 0 {
                for m in btf.members(ty) {
                    collect(btf, m.ty, offset.saturating_add(m.bit_offset / 8), depth - 1, record);
                }
            }
        }
        Some(Type::Array { elem, len, .. }) if len > 0 && depth > 0 => collect(btf, elem, offset, depth - 1, record),
        Some(Type::Datasec { .. }) if depth > 0 => {
            for v in btf.sec_vars(ty) {
                if let Some(Type::Var { ty, .. }) = btf.get(v.ty) {
                    collect(btf, ty, offset.saturating_add(v.offset), depth - 1, record);
                }
            }
        }
        Some(Type::Ptr(target)) => {
            if let Some(Type::TypeTag { .. }) = btf.get(target)
                && let Some(&(_, kind)) = BY_TAG.iter().find(|(tag, _)| *tag == btf.name(target))
            {
                record.fields.push(field(kind, 8));
            }
        }
        _ => {}
    }
}
