//! Types by where they come from, and what has been found out about them.

use crate::domain::{BtfRef, RegBase, RegExtra, RegState, RegType};
use crate::{Env, Step, Stop};
use ebpfkit_abi::TypeFlags;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type, TypeId};
use ebpfkit_object::record::{self, Record};
use std::rc::Rc;
use std::sync::Arc;

/// Modifiers of pointers that the kernel vouches for (`BPF_REG_TRUSTED_MODIFIERS`).
pub const TRUSTED_MODIFIERS: TypeFlags = TypeFlags::ALLOC.union(TypeFlags::TRUSTED).union(TypeFlags::NON_OWN_REF);

impl Env<'_> {
    /// The types that a reference names.
    pub fn types_of(&self, btf: BtfRef) -> Step<Arc<Btf>> {
        let found = match btf {
            BtfRef::Vmlinux => self.kernel().btf().cloned(),
            BtfRef::Program => self.shared_btf(),
        };
        found.ok_or_else(|| Stop::unsupported("typed pointers without the kernel's BTF"))
    }

    /// Name of a typed pointer's type; empty when it cannot be read.
    pub fn type_name(&self, btf: BtfRef, id: TypeId) -> String {
        self.types_of(btf).map_or_else(|_| String::new(), |t| t.name(id).to_owned())
    }

    /// Special fields of what objects of a struct in the program's types hold; `None` for plain ones.
    pub fn struct_record(&self, id: TypeId) -> Option<Rc<Record>> {
        if let Some(known) = self.tables.types.records.borrow().get(&id) {
            return known.clone();
        }
        let kernel = || self.kernel().btf().cloned();
        let record = self.btf().and_then(|b| record::of_struct(b, &kernel, id)).map(Rc::new);
        self.tables.types.records.borrow_mut().insert(id, record.clone());
        record
    }

    /// Special fields of what a register points to.
    pub fn record_of(&self, r: &RegState) -> Option<Rc<Record>> {
        match r.extra {
            RegExtra::Map { map, .. } if r.ty == RegType::of(RegBase::MapValue) => {
                Some(self.maps.get(map as usize)?.record.clone())
            }
            RegExtra::Btf { btf: BtfRef::Program, id } if r.is_alloc_object() => self.struct_record(id),
            _ => None,
        }
    }

    /// Whether a lock may lie in what a register points to, so that its identity matters.
    pub fn may_hold_lock(&self, r: &RegState) -> bool {
        use record::FieldKind::{ResSpinLock, SpinLock};
        self.record_of(r).is_some_and(|rec| rec.has(SpinLock) || rec.has(ResSpinLock))
    }
}

impl RegState {
    /// Whether this points to an object that a program allocated (`type_is_ptr_alloc_obj`).
    pub fn is_alloc_object(&self) -> bool {
        self.ty.base == RegBase::BtfId && self.ty.has(TypeFlags::ALLOC)
    }

    /// Whether this points to a graph node that the program does not own (`type_is_non_owning_ref`).
    pub fn is_non_owning(&self) -> bool {
        self.is_alloc_object() && self.ty.has(TypeFlags::NON_OWN_REF)
    }

    /// Whether the type has modifiers that make it unsafe to pass on (`bpf_type_has_unsafe_modifiers`).
    pub fn has_unsafe_modifiers(&self) -> bool {
        !TRUSTED_MODIFIERS.contains(self.ty.flags)
    }

    /// Whether RCU protects what this points to (`is_rcu_reg`).
    pub fn is_rcu(&self) -> bool {
        self.ty.has(TypeFlags::RCU)
    }

    /// Whether the kernel vouches for this pointer (`is_trusted_reg`).
    pub fn is_trusted(&self) -> bool {
        if self.ref_obj_id != 0 {
            return true;
        }
        let known =
            matches!(self.ty.base, RegBase::Socket | RegBase::SockCommon | RegBase::TcpSock | RegBase::ConstMap);
        if known && !self.has_unsafe_modifiers() {
            return true;
        }
        self.ty.flags.intersects(TRUSTED_MODIFIERS) && !self.has_unsafe_modifiers()
    }
}

/// A typed pointer.
pub fn btf_reg(btf: BtfRef, id: TypeId, flags: TypeFlags) -> RegState {
    RegState::pointer(RegType::with(RegBase::BtfId, flags), RegExtra::Btf { btf, id })
}

/// Name of a kind of types as the kernel prints it (`btf_type_str`).
pub fn kind_name(kind: Option<Kind>) -> &'static str {
    match kind {
        None | Some(Kind::Void) => "UNKNOWN",
        Some(Kind::Int) => "INT",
        Some(Kind::Ptr) => "PTR",
        Some(Kind::Array) => "ARRAY",
        Some(Kind::Struct) => "STRUCT",
        Some(Kind::Union) => "UNION",
        Some(Kind::Enum) => "ENUM",
        Some(Kind::Fwd) => "FWD",
        Some(Kind::Typedef) => "TYPEDEF",
        Some(Kind::Volatile) => "VOLATILE",
        Some(Kind::Const) => "CONST",
        Some(Kind::Restrict) => "RESTRICT",
        Some(Kind::Func) => "FUNC",
        Some(Kind::FuncProto) => "FUNC_PROTO",
        Some(Kind::Var) => "VAR",
        Some(Kind::Datasec) => "DATASEC",
        Some(Kind::Float) => "FLOAT",
        Some(Kind::DeclTag) => "DECL_TAG",
        Some(Kind::TypeTag) => "TYPE_TAG",
        Some(Kind::Enum64) => "ENUM64",
    }
}

/// Whether a type is a number: an integer or an enumeration.
pub fn is_scalar(btf: &Btf, id: TypeId) -> bool {
    matches!(btf.kind(id), Some(Kind::Int | Kind::Enum | Kind::Enum64))
}

/// Whether a type is a struct or a union.
pub fn is_struct(btf: &Btf, id: TypeId) -> bool {
    matches!(btf.kind(id), Some(Kind::Struct | Kind::Union))
}

/// Where a pointer type points to, modifiers skipped; `None` for other types.
pub fn pointee(btf: &Btf, id: TypeId) -> Option<TypeId> {
    match btf.get(btf.resolve(id)) {
        Some(Type::Ptr(target)) => Some(btf.resolve(target)),
        _ => None,
    }
}
