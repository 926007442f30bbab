//! Special fields of map values and allocated objects (`struct btf_record`).

use crate::reg::BtfRef;
use ebpfkit_object::btf::TypeId;

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

/// The special fields of a map's value type.
pub fn of_map(def: &ebpfkit_object::Map, btf: Option<&ebpfkit_object::Btf>, kernel: &crate::KernelModel) -> Record {
    let _ = (def, btf, kernel);
    Record::default()
}
