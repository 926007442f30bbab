//! Special fields of map values and allocated objects (`struct btf_record`): which members programs may touch only
//! through calls.

use crate::KernelModel;
use crate::domain::BtfRef;
use ebpfkit_abi::{MapType, map_flags};
use ebpfkit_object::btf::{Kind, Type, TypeId};
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

use FieldKind::*;

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

/// Kinds by the name of the struct that stands for them.
const BY_STRUCT: &[(&str, FieldKind)] = &[
    ("bpf_spin_lock", SpinLock),
    ("bpf_res_spin_lock", ResSpinLock),
    ("bpf_timer", Timer),
    ("bpf_wq", Workqueue),
    ("bpf_task_work", TaskWork),
    ("bpf_list_head", ListHead),
    ("bpf_list_node", ListNode),
    ("bpf_rb_root", RbRoot),
    ("bpf_rb_node", RbNode),
    ("bpf_refcount", Refcount),
];

/// Kinds by the type tag on a pointer's target.
const BY_TAG: &[(&str, FieldKind)] =
    &[("kptr_untrusted", KptrUnref), ("kptr", KptrRef), ("percpu_kptr", KptrPercpu), ("uptr", Uptr)];

/// Kinds that stand in map values.
const IN_MAPS: &[FieldKind] = &[
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
    RbRoot,
    Refcount,
];

/// Kinds that stand in objects that programs allocate.
const IN_OBJECTS: &[FieldKind] =
    &[SpinLock, ResSpinLock, ListHead, ListNode, RbRoot, RbNode, Refcount, KptrUnref, KptrRef, KptrPercpu, Uptr];

/// Kernel structs that a referenced kptr may point to: those the kernel can release by itself.
const WITH_DESTRUCTOR: &[&str] =
    &["task_struct", "cgroup", "bpf_cpumask", "bpf_crypto_ctx", "prog_test_ref_kfunc", "prog_test_member"];

/// Nested types deeper than this are refused (`MAX_RESOLVE_DEPTH`).
const MAX_DEPTH: u32 = 32;
/// Most special fields of one type (`BTF_FIELDS_MAX`).
const MAX_FIELDS: usize = 11;

/// The type is malformed; it then has no special fields at all.
struct Malformed;

/// Reads the special fields of one type.
struct Reader<'a> {
    btf: &'a Btf,
    kernel: &'a KernelModel,
    wanted: &'a [FieldKind],
    seen: Vec<FieldKind>,
    fields: Vec<Field>,
}

/// The special fields of a map's value type; none when the type is malformed or the map has no such type.
pub fn of_map(def: &Map, btf: Option<&Btf>, kernel: &KernelModel) -> Record {
    let Some(btf) = btf.filter(|_| def.value_type != 0) else { return Record::default() };
    read(btf, kernel, def.value_type, IN_MAPS).unwrap_or_default()
}

/// Whether a map of this type may have these fields in its values; creating it with its types fails otherwise.
pub fn map_allows(def: &Map, record: &Record) -> bool {
    use MapType as M;
    let map = def.map_type;
    if def.flags & map_flags::PROG_ACCESS != 0 {
        return false;
    }
    let locals = [M::SkStorage, M::InodeStorage, M::TaskStorage, M::CgrpStorage];
    record.fields.iter().all(|f| match f.kind {
        SpinLock | ResSpinLock => matches!(map, M::Hash | M::Array | M::CgroupStorage) || locals.contains(&map),
        Timer | Workqueue | TaskWork | ListHead | RbRoot => matches!(map, M::Hash | M::LruHash | M::Array),
        KptrUnref | KptrRef | KptrPercpu | Refcount => {
            matches!(map, M::Hash | M::PercpuHash | M::LruHash | M::LruPercpuHash | M::Array | M::PercpuArray)
                || locals.contains(&map)
        }
        Uptr => map == M::TaskStorage,
        ListNode | RbNode => false,
    })
}

/// The special fields of a struct in the program's types, when objects of it are more than plain bytes.
pub fn of_struct(btf: &Btf, kernel: &KernelModel, id: TypeId) -> Option<Record> {
    let special = |ty: TypeId| {
        let name = btf.name(ty);
        BY_STRUCT.iter().any(|(n, k)| *n == name && IN_OBJECTS.contains(k) && btf.kind(ty) == Some(Kind::Struct))
            || kptr_tag(btf, ty).is_some()
    };
    let has = btf.kind(id) == Some(Kind::Struct) && btf.members(id).any(|m| special(m.ty));
    if !has {
        return None;
    }
    read(btf, kernel, id, IN_OBJECTS).filter(|r| !r.fields.is_empty())
}

/// Kind and pointee of a tagged pointer.
fn kptr_tag(btf: &Btf, ty: TypeId) -> Option<(FieldKind, TypeId)> {
    let ty = match btf.get(ty) {
        Some(Type::Volatile(inner)) => inner,
        _ => ty,
    };
    let Some(Type::Ptr(target)) = btf.get(ty) else { return None };
    let Some(Type::TypeTag { ty: pointee, kind_flag: false }) = btf.get(target) else { return None };
    let (_, kind) = BY_TAG.iter().find(|(tag, _)| *tag == btf.name(target))?;
    Some((*kind, btf.skip_modifiers(pointee)))
}

fn read(btf: &Btf, kernel: &KernelModel, ty: TypeId, wanted: &[FieldKind]) -> Option<Record> {
    let mut reader = Reader { btf, kernel, wanted, seen: Vec::new(), fields: Vec::new() };
    let found = match btf.get(ty)? {
        Type::Struct(_) | Type::Union(_) => reader.members(ty, 0, 0),
        Type::Datasec { .. } => reader.variables(ty),
        _ => return None,
    };
    found.ok()?;
    let size = btf.size_of(ty)?;
    reader.finish(size).ok()
}

impl Reader<'_> {
    fn members(&mut self, ty: TypeId, offset: u32, depth: u32) -> Result<(), Malformed> {
        for (i, m) in self.btf.members(ty).enumerate() {
            if m.bit_offset % 8 != 0 && m.bitfield_size == 0 {
                return Err(Malformed);
            }
            if m.bitfield_size != 0 {
                continue;
            }
            let at = offset.checked_add(m.bit_offset / 8).ok_or(Malformed)?;
            self.field((ty, i as i32), m.ty, at, None, depth)?;
        }
        Ok(())
    }

    fn variables(&mut self, ty: TypeId) -> Result<(), Malformed> {
        for v in self.btf.sec_vars(ty) {
            let Some(Type::Var { ty, .. }) = self.btf.get(v.ty) else { continue };
            self.field((v.ty, -1), ty, v.offset, Some(v.size), 0)?;
        }
        Ok(())
    }

    /// One member or variable. `owner` is where its declaration tags are.
    fn field(
        &mut self,
        owner: (TypeId, i32),
        ty: TypeId,
        offset: u32,
        expected: Option<u32>,
        depth: u32,
    ) -> Result<(), Malformed> {
        let btf = self.btf;
        let (mut ty, mut count) = (ty, 1u32);
        for _ in 0..MAX_DEPTH {
            let Some(Type::Array { elem, len, .. }) = btf.get(ty) else { break };
            count = count.wrapping_mul(len);
            ty = elem;
        }
        if count == 0 {
            return Ok(());
        }
        let name = btf.name(ty);
        let by_name = BY_STRUCT.iter().find(|(n, k)| *n == name && self.wanted.contains(k)).map(|&(_, k)| k);
        let composite = match btf.get(ty) {
            Some(Type::Struct(c) | Type::Union(c)) => Some(c),
            _ => None,
        };
        let (kind, type_id) = match (by_name, composite) {
            (Some(kind), _) => {
                if kind.is_single() && self.seen.contains(&kind) {
                    return Err(Malformed);
                }
                self.seen.push(kind);
                if composite.is_none_or(|c| c.size != kind.layout().0) {
                    return Ok(());
                }
                (kind, 0)
            }
            (None, Some(c)) => {
                let size = c.size.wrapping_mul(count);
                if expected.is_some_and(|e| e != size) {
                    return Ok(());
                }
                return self.nested(ty, c.size, offset, count, depth + 1);
            }
            (None, None) => match self.pointer(ty)? {
                Some(k) if self.wanted.contains(&k.0) => k,
                _ => return Ok(()),
            },
        };
        let (size, align) = kind.layout();
        if expected.is_some_and(|e| e != size.wrapping_mul(count)) || !offset.is_multiple_of(align) {
            return Ok(());
        }
        let mut field = Field { kind, offset, size, btf: BtfRef::Program, type_id, node_offset: 0 };
        if matches!(kind, ListHead | RbRoot) {
            self.graph_root(owner, &mut field)?;
        }
        let first = self.fields.len();
        self.fields.push(field);
        self.repeat(first, count, size)
    }

    /// What a tagged pointer is; a pointer with other tags is malformed.
    fn pointer(&self, ty: TypeId) -> Result<Option<(FieldKind, TypeId)>, Malformed> {
        let btf = self.btf;
        let inner = match btf.get(ty) {
            Some(Type::Volatile(inner)) => inner,
            _ => ty,
        };
        let Some(Type::Ptr(target)) = btf.get(inner) else { return Ok(None) };
        let Some(Type::TypeTag { ty: pointee, .. }) = btf.get(target) else { return Ok(None) };
        if btf.kind(pointee) == Some(Kind::TypeTag) {
            return Err(Malformed);
        }
        let Some((kind, pointee)) = kptr_tag(btf, ty) else { return Err(Malformed) };
        match btf.kind(pointee) {
            Some(Kind::Struct | Kind::Union) => Ok(Some((kind, pointee))),
            _ => Err(Malformed),
        }
    }

    fn nested(&mut self, ty: TypeId, size: u32, offset: u32, count: u32, depth: u32) -> Result<(), Malformed> {
        if depth >= MAX_DEPTH {
            return Err(Malformed);
        }
        let first = self.fields.len();
        self.members(ty, offset, depth)?;
        self.repeat(first, count, size)
    }

    /// Copies the fields from `first` on for every further element of an array.
    fn repeat(&mut self, first: usize, count: u32, size: u32) -> Result<(), Malformed> {
        let fields = self.fields.len() - first;
        if count > 1 && fields > 0 {
            if !self.fields[first..].iter().all(|f| f.kind.is_repeatable()) {
                return Err(Malformed);
            }
            if (count as usize).saturating_mul(fields) + first > MAX_FIELDS {
                return Err(Malformed);
            }
            for i in 1..count {
                for j in 0..fields {
                    let f = self.fields[first + j];
                    self.fields.push(Field { offset: f.offset + i * size, ..f });
                }
            }
        }
        if self.fields.len() > MAX_FIELDS { Err(Malformed) } else { Ok(()) }
    }

    /// Element type and node of a list head or tree root, from its `contains:` tag.
    fn graph_root(&self, owner: (TypeId, i32), field: &mut Field) -> Result<(), Malformed> {
        let btf = self.btf;
        let mut tags = btf.decl_tags(owner.0, owner.1).filter_map(|t| t.strip_prefix("contains:"));
        let (Some(tag), None) = (tags.next(), tags.next()) else { return Err(Malformed) };
        let (element, node) = tag.split_once(':').ok_or(Malformed)?;
        let id = btf.find(element, Kind::Struct).ok_or(Malformed)?;
        let want = if field.kind == ListHead { ListNode } else { RbNode };
        let mut members = btf.members(id).filter(|m| m.name == node && !node.is_empty());
        let (Some(m), None) = (members.next(), members.next()) else { return Err(Malformed) };
        let fits = btf.kind(m.ty) == Some(Kind::Struct) && btf.name(m.ty) == want.name() && m.bit_offset % 64 == 0;
        if !fits {
            return Err(Malformed);
        }
        (field.type_id, field.node_offset) = (id, m.bit_offset / 8);
        Ok(())
    }

    /// Where a pointee's type is: in the kernel when it has one of this name, else in the program.
    fn resolve_pointee(&self, field: &mut Field) -> Result<(), Malformed> {
        let (name, kind) = (self.btf.name(field.type_id), self.btf.kind(field.type_id));
        let in_kernel = kind.and_then(|k| self.kernel.btf()?.find(name, k));
        let Some(id) = in_kernel else { return Ok(()) };
        if field.kind == Uptr || field.kind == KptrRef && !WITH_DESTRUCTOR.contains(&name) {
            return Err(Malformed);
        }
        (field.btf, field.type_id) = (BtfRef::Vmlinux, id);
        Ok(())
    }

    fn finish(mut self, size: u32) -> Result<Record, Malformed> {
        let mut end = 0;
        for i in 0..self.fields.len() {
            let mut f = self.fields[i];
            if f.offset.checked_add(f.size).is_none_or(|e| e > size) || f.offset < end {
                return Err(Malformed);
            }
            end = f.offset + f.size;
            if f.kind.is_kptr() {
                self.resolve_pointee(&mut f)?;
                self.fields[i] = f;
            }
        }
        let record = Record { fields: self.fields };
        let locked = record.has(SpinLock) || record.has(ResSpinLock);
        if (record.has(ListHead) || record.has(RbRoot)) && !locked {
            return Err(Malformed);
        }
        if record.has(ListNode) && record.has(RbNode) && !record.has(Refcount) {
            return Err(Malformed);
        }
        Ok(record)
    }
}
