//! Special fields of map values and allocated objects (`struct btf_record`): which members programs may touch only
//! through calls.

mod read;
mod rules;

pub use read::{KptrTags, has_kptrs, of_map, of_map_by, of_struct};
pub use rules::{check_structs, map_takes_types};

use crate::Btf;
use crate::btf::{BtfRef, TypeId};
use ebpfkit_abi::Errno;
use ebpfkit_abi::map_type::ValueFields;
use std::sync::Arc;

/// Opens the kernel's types; asked only where a pointer's target has to be looked up in them.
pub type KernelTypes<'a> = &'a dyn Fn() -> Option<Arc<Btf>>;

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

use FieldKind::*;

/// Kinds that stand in objects that programs allocate.
const IN_OBJECTS: &[FieldKind] =
    &[SpinLock, ResSpinLock, ListHead, ListNode, RbRoot, RbNode, Refcount, KptrUnref, KptrRef, KptrPercpu];

impl FieldKind {
    /// Name in messages (`btf_field_type_name`).
    pub fn name(self) -> &'static str {
        match self {
            SpinLock => "bpf_spin_lock",
            ResSpinLock => "bpf_res_spin_lock",
            Timer => "bpf_timer",
            Workqueue => "bpf_wq",
            TaskWork => "bpf_task_work",
            KptrUnref | KptrRef => "kptr",
            KptrPercpu => "percpu_kptr",
            Uptr => "uptr",
            ListHead => "bpf_list_head",
            ListNode => "bpf_list_node",
            RbRoot => "bpf_rb_root",
            RbNode => "bpf_rb_node",
            Refcount => "bpf_refcount",
        }
    }

    /// Bytes of the field, and its alignment.
    fn layout(self) -> (u32, u32) {
        match self {
            SpinLock | ResSpinLock | Refcount => (4, 4),
            Timer | Workqueue | ListHead | RbRoot => (16, 8),
            ListNode => (24, 8),
            RbNode => (32, 8),
            TaskWork | KptrUnref | KptrRef | KptrPercpu | Uptr => (8, 8),
        }
    }

    /// Whether the field holds a pointer to something typed.
    pub fn is_kptr(self) -> bool {
        matches!(self, KptrUnref | KptrRef | KptrPercpu | Uptr)
    }

    /// What map types that allow such fields have in their rows; nothing for fields that stand in no map.
    fn class(self) -> Option<ValueFields> {
        match self {
            SpinLock | ResSpinLock => Some(ValueFields::LOCKS),
            Timer | Workqueue | TaskWork => Some(ValueFields::CALLBACKS),
            ListHead | RbRoot => Some(ValueFields::GRAPHS),
            KptrUnref | KptrRef | KptrPercpu | Refcount => Some(ValueFields::KPTRS),
            Uptr => Some(ValueFields::UPTRS),
            ListNode | RbNode => None,
        }
    }

    /// Whether the field may stand in a map's values.
    fn is_in_maps(self) -> bool {
        self.class().is_some()
    }

    /// Whether the field may stand in objects that programs allocate.
    fn is_in_objects(self) -> bool {
        IN_OBJECTS.contains(&self)
    }

    /// Whether a type has at most one such field.
    fn is_single(self) -> bool {
        matches!(self, SpinLock | ResSpinLock | Timer | Workqueue | TaskWork | Refcount)
    }

    /// Whether the field may be an element of an array.
    fn is_repeatable(self) -> bool {
        self.is_kptr() || matches!(self, ListHead | RbRoot)
    }
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

    /// Whether there is a field of this kind.
    pub fn has(&self, kind: FieldKind) -> bool {
        self.find(kind).is_some()
    }

    /// Field of any kind that starts at this offset.
    pub fn at(&self, offset: u32) -> Option<&Field> {
        self.fields.iter().find(|f| f.offset == offset)
    }
}

/// Why a type's special fields are refused: the error number, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Error number.
    pub errno: Errno,
    /// What is wrong.
    pub what: String,
}

fn malformed<T>(errno: Errno, what: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed { errno, what: what.into() })
}
