//! Special fields of map values and allocated objects (`struct btf_record`): which members programs may touch only
//! through calls.

use crate::btf::{BtfRef, Kind, Plain, Type, TypeId};
use crate::{Btf, Map};
use ebpfkit_abi::limits::PAGE_SIZE;
use ebpfkit_abi::map_type::ValueFields;
use ebpfkit_abi::{Errno, MapType, map_flags};
use rustc_hash::{FxHashMap, FxHashSet};
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

/// The same before 6.4.
const BY_OLDER_TAG: &[(&str, FieldKind)] = &[("kptr", KptrUnref), ("kptr_ref", KptrRef)];

/// What the tags of kernel pointers are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KptrTags {
    /// `kptr` is a counted reference, `kptr_untrusted` is none.
    Current,
    /// `kptr_ref` is a counted reference, `kptr` is none: before Linux 6.4.
    Older,
}

impl KptrTags {
    fn kinds(self) -> &'static [(&'static str, FieldKind)] {
        match self {
            Self::Current => BY_TAG,
            Self::Older => BY_OLDER_TAG,
        }
    }
}

/// Kinds that stand in objects that programs allocate.
const IN_OBJECTS: &[FieldKind] =
    &[SpinLock, ResSpinLock, ListHead, ListNode, RbRoot, RbNode, Refcount, KptrUnref, KptrRef, KptrPercpu];

/// Kernel structs that a referenced kptr may point to: those the kernel can release by itself.
const WITH_DESTRUCTOR: &[&str] =
    &["task_struct", "cgroup", "bpf_cpumask", "bpf_crypto_ctx", "bpf_ksock", "prog_test_ref_kfunc", "prog_test_member"];

/// Nested types deeper than this are refused (`MAX_RESOLVE_DEPTH`).
const MAX_DEPTH: u32 = 32;
/// Most special fields of one type (`BTF_FIELDS_MAX`).
const MAX_FIELDS: usize = 11;

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

fn too_many() -> Malformed {
    Malformed { errno: Errno::E2BIG, what: format!("more than {MAX_FIELDS} special fields") }
}

fn too_large() -> Malformed {
    Malformed { errno: Errno::EINVAL, what: "an offset beyond 4 GiB".to_owned() }
}

/// Reads the special fields of one type.
struct Reader<'a> {
    tags: KptrTags,
    btf: &'a Btf,
    kernel: KernelTypes<'a>,
    accepts: fn(FieldKind) -> bool,
    seen: Vec<FieldKind>,
    fields: Vec<Field>,
}

/// The special fields of a map's value type; none when the type is malformed or the map has no such type.
pub fn of_map(def: &Map, btf: Option<&Btf>, kernel: KernelTypes<'_>) -> Record {
    of_map_by(KptrTags::Current, def, btf, kernel)
}

/// The same, by the tags that a kernel knows.
pub fn of_map_by(tags: KptrTags, def: &Map, btf: Option<&Btf>, kernel: KernelTypes<'_>) -> Record {
    let Some(btf) = btf.filter(|_| def.value_type != 0) else { return Record::default() };
    let value = btf.resolve(def.value_type);
    if plain(btf, value).is_some() {
        return Record::default();
    }
    read_by(tags, btf, kernel, value, FieldKind::is_in_maps).unwrap_or_default()
}

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

/// Whether a member of this type makes objects of a struct more than plain bytes.
fn is_special(btf: &Btf, ty: TypeId) -> bool {
    let is_struct = || btf.kind(ty) == Some(Kind::Struct);
    BY_STRUCT.iter().any(|(n, k)| k.is_in_objects() && *n == btf.name(ty) && is_struct())
        || kptr_tag(KptrTags::Current, btf, ty)
            .is_some_and(|(kind, to)| kind.is_in_objects() && btf.kind(to) == Some(Kind::Struct))
}

/// The special fields of a struct in the program's types, when objects of it are more than plain bytes.
pub fn of_struct(btf: &Btf, kernel: KernelTypes<'_>, id: TypeId) -> Option<Record> {
    let has = btf.kind(id) == Some(Kind::Struct) && btf.members(id).any(|m| is_special(btf, m.ty));
    if !has {
        return None;
    }
    read(btf, kernel, id, FieldKind::is_in_objects).ok().filter(|r| !r.fields.is_empty())
}

/// Whether a program's types have pointers whose targets are looked up in the kernel's.
pub fn has_kptrs(btf: &Btf) -> bool {
    (1..btf.len()).any(|id| btf.kind(id) == Some(Kind::Ptr) && kptr_tag(KptrTags::Current, btf, id).is_some())
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

/// Kind and pointee of a tagged pointer.
fn kptr_tag(tags: KptrTags, btf: &Btf, ty: TypeId) -> Option<(FieldKind, TypeId)> {
    let ty = match btf.get(ty) {
        Some(Type::Volatile(inner)) => inner,
        _ => ty,
    };
    let Some(Type::Ptr(target)) = btf.get(ty) else { return None };
    let Some(Type::TypeTag { ty: pointee, kind_flag: false }) = btf.get(target) else { return None };
    let (_, kind) = tags.kinds().iter().find(|(tag, _)| *tag == btf.name(target))?;
    Some((*kind, btf.resolve(pointee)))
}

/// Whether a struct has no special field of any kind, and would not be refused for what it is made of.
fn plain(btf: &Btf, ty: TypeId) -> Option<Plain> {
    btf.plain(ty, |name| BY_STRUCT.iter().any(|(n, _)| *n == name))
}

fn read(btf: &Btf, kernel: KernelTypes<'_>, ty: TypeId, accepts: fn(FieldKind) -> bool) -> Result<Record, Malformed> {
    read_by(KptrTags::Current, btf, kernel, ty, accepts)
}

fn read_by(
    tags: KptrTags,
    btf: &Btf,
    kernel: KernelTypes<'_>,
    ty: TypeId,
    accepts: fn(FieldKind) -> bool,
) -> Result<Record, Malformed> {
    let mut reader = Reader { tags, btf, kernel, accepts, seen: Vec::new(), fields: Vec::new() };
    match btf.get(ty) {
        Some(Type::Struct(_)) => reader.members(ty, 0, 0)?,
        Some(Type::Datasec { .. }) => reader.variables(ty)?,
        _ => return malformed(Errno::EINVAL, "no struct"),
    }
    reader.finish(btf.size_of(ty).unwrap_or(0))
}

impl Reader<'_> {
    fn members(&mut self, ty: TypeId, offset: u32, depth: u32) -> Result<(), Malformed> {
        for (i, m) in self.btf.members(ty).enumerate() {
            // A bit field inside a byte, too.
            if m.bit_offset % 8 != 0 {
                return malformed(Errno::EINVAL, format!("member '{}' does not start at a byte", m.name));
            }
            let at = offset.checked_add(m.bit_offset / 8).ok_or_else(too_large)?;
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
        let by_name = BY_STRUCT.iter().find(|(n, k)| *n == name && (self.accepts)(*k)).map(|&(_, k)| k);
        let composite = match btf.get(ty) {
            // What lies in a union is not looked at.
            Some(Type::Struct(c)) => Some(c),
            _ => None,
        };
        let (kind, type_id) = match (by_name, composite) {
            (Some(kind), _) => {
                if kind.is_single() && self.seen.contains(&kind) {
                    return malformed(Errno::E2BIG, format!("more than one {}", kind.name()));
                }
                if kind.is_single() {
                    self.seen.push(kind);
                }
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
                Some(k) if (self.accepts)(k.0) => k,
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
            return malformed(Errno::EINVAL, "a pointer with several tags");
        }
        let Some((kind, pointee)) = kptr_tag(self.tags, self.btf, ty) else {
            return malformed(Errno::EINVAL, format!("a pointer with the tag '{}'", btf.name(target)));
        };
        match btf.kind(pointee) {
            Some(Kind::Struct) => Ok(Some((kind, pointee))),
            _ => malformed(Errno::EINVAL, format!("a {} to something else than a struct", kind.name())),
        }
    }

    fn nested(&mut self, ty: TypeId, size: u32, offset: u32, count: u32, depth: u32) -> Result<(), Malformed> {
        let too_deep = || malformed(Errno::E2BIG, "structs nested too deep");
        if depth >= MAX_DEPTH {
            return too_deep();
        }
        if let Some(plain) = plain(self.btf, ty) {
            // What a walk through it would have met.
            let end = u64::from(offset) + plain.extent;
            return match depth + plain.height {
                MAX_DEPTH.. => too_deep(),
                _ if end > u32::MAX.into() => Err(too_large()),
                _ => Ok(()),
            };
        }
        let first = self.fields.len();
        self.members(ty, offset, depth)?;
        self.repeat(first, count, size)
    }

    /// Copies the fields from `first` on for every further element of an array.
    fn repeat(&mut self, first: usize, count: u32, size: u32) -> Result<(), Malformed> {
        let fields = self.fields.len() - first;
        if count > 1 && fields > 0 {
            if let Some(f) = self.fields[first..].iter().find(|f| !f.kind.is_repeatable()) {
                return malformed(Errno::EINVAL, format!("an array of {}", f.kind.name()));
            }
            if (count as usize).saturating_mul(fields) + first > MAX_FIELDS {
                return Err(too_many());
            }
            for i in 1..count {
                for j in 0..fields {
                    let f = self.fields[first + j];
                    self.fields.push(Field { offset: f.offset + i * size, ..f });
                }
            }
        }
        if self.fields.len() > MAX_FIELDS { Err(too_many()) } else { Ok(()) }
    }

    /// Element type and node of a list head or tree root, from its `contains:` tag.
    fn graph_root(&self, owner: (TypeId, i32), field: &mut Field) -> Result<(), Malformed> {
        let btf = self.btf;
        let bad = |errno, what: &str| malformed(errno, format!("{} {what}", field.kind.name()));
        let mut tags = btf.decl_tags(owner.0, owner.1).filter_map(|t| t.strip_prefix("contains:"));
        let (Some(tag), None) = (tags.next(), tags.next()) else {
            return bad(Errno::EINVAL, "without exactly one tag that says what it contains");
        };
        let Some((element, node)) = tag.split_once(':') else {
            return bad(Errno::EINVAL, "with a tag that names no member");
        };
        let Some(id) = btf.find(element, Kind::Struct) else {
            return bad(Errno::ENOENT, "of a struct that is not there");
        };
        let want = if field.kind == ListHead { ListNode } else { RbNode };
        let mut members = btf.members(id).filter(|m| m.name == node && !node.is_empty());
        let Some(m) = members.next() else { return bad(Errno::ENOENT, "of a member that is not there") };
        let fits = btf.kind(m.ty) == Some(Kind::Struct) && btf.name(m.ty) == want.name() && m.bit_offset % 64 == 0;
        if !fits || members.next().is_some() {
            return bad(Errno::EINVAL, "of a member that is no node");
        }
        (field.type_id, field.node_offset) = (id, m.bit_offset / 8);
        Ok(())
    }

    /// Where a pointee's type is: in the kernel when it has one of this name, else in the program.
    fn resolve_pointee(&self, field: &mut Field) -> Result<(), Malformed> {
        let (name, kind) = (self.btf.name(field.type_id), self.btf.kind(field.type_id));
        let in_kernel = kind.and_then(|k| (self.kernel)()?.find(name, k));
        let Some(id) = in_kernel else { return Ok(()) };
        if field.kind == KptrRef && !WITH_DESTRUCTOR.contains(&name) {
            return malformed(Errno::ENOENT, format!("a kptr to struct {name}, which the kernel cannot release"));
        }
        (field.btf, field.type_id) = (BtfRef::Vmlinux, id);
        Ok(())
    }

    fn finish(mut self, size: u32) -> Result<Record, Malformed> {
        let mut end = 0;
        for i in 0..self.fields.len() {
            let mut f = self.fields[i];
            if f.offset.checked_add(f.size).is_none_or(|e| e > size) {
                return malformed(Errno::EFAULT, format!("{} beyond the end", f.kind.name()));
            }
            if f.offset < end {
                return malformed(Errno::EEXIST, format!("{} over another special field", f.kind.name()));
            }
            end = f.offset + f.size;
            if f.kind.is_kptr() {
                self.resolve_pointee(&mut f)?;
                self.fields[i] = f;
            }
        }
        let record = Record { fields: self.fields };
        let locked = record.has(SpinLock) || record.has(ResSpinLock);
        if record.has(SpinLock) && record.has(ResSpinLock) {
            return malformed(Errno::EINVAL, "locks of both kinds");
        }
        if (record.has(ListHead) || record.has(RbRoot)) && !locked {
            return malformed(Errno::EINVAL, "a list or tree without a lock");
        }
        if record.has(ListNode) && record.has(RbNode) && !record.has(Refcount) {
            return malformed(Errno::EINVAL, "nodes of a list and a tree without a reference count");
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
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
