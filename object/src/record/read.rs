//! Reading special fields: from the members of a type to a record.

use super::FieldKind::*;
use super::{Field, FieldKind, KernelTypes, Malformed, Record, malformed};
use crate::btf::{BtfRef, Kind, Plain, Type, TypeId};
use crate::{Btf, Map};
use ebpfkit_abi::Errno;

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

/// Kernel structs that a referenced kptr may point to: those the kernel can release by itself.
const WITH_DESTRUCTOR: &[&str] =
    &["task_struct", "cgroup", "bpf_cpumask", "bpf_crypto_ctx", "bpf_ksock", "prog_test_ref_kfunc", "prog_test_member"];

/// Nested types deeper than this are refused (`MAX_RESOLVE_DEPTH`).
const MAX_DEPTH: u32 = 32;
/// Most special fields of one type (`BTF_FIELDS_MAX`).
const MAX_FIELDS: usize = 11;

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

/// Whether a member of this type makes objects of a struct more than plain bytes.
pub(super) fn is_special(btf: &Btf, ty: TypeId) -> bool {
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

pub(super) fn read(
    btf: &Btf,
    kernel: KernelTypes<'_>,
    ty: TypeId,
    accepts: fn(FieldKind) -> bool,
) -> Result<Record, Malformed> {
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
