//! Special fields of map values: what loads and stores may do with them.

use super::btf_walk::holds_struct;
use super::types::btf_reg;
use crate::domain::reg_type_str;
use crate::domain::{BtfRef, RegBase, RegExtra, RegState, RegType, Tnum};
use crate::reason::{TypeReason, reject};
use crate::{Env, Step};
use ebpfkit_abi::Feature;
use ebpfkit_abi::TypeFlags;
use ebpfkit_isa::opcode::{class, mode};
use ebpfkit_object::record::{Field, FieldKind};

/// Who touches a map value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    /// A load, store or atomic.
    Insn,
    /// A call that was given the address.
    Call,
}

/// Kernel structs whose references RCU keeps alive.
const RCU_PROTECTED: &[&str] =
    &["prog_test_ref_kfunc", "cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx", "bpf_ksock"];

impl Env<'_> {
    /// Checks an access of a map value against its special fields; the kernel pointer that it loads or stores.
    pub(super) fn check_special_fields(&self, r: &RegState, off: i32, size: u32, touch: Touch) -> Step<Option<Field>> {
        let Some(map) = r.map() else { return Ok(None) };
        let record = &self.maps[map as usize].record;
        let (low, high) =
            (r.smin.wrapping_add(off.into()), (r.umax as i64).wrapping_add(i64::from(off) + i64::from(size)));
        let mut found = None;
        for f in &record.fields {
            let (start, end) = (i64::from(f.offset), i64::from(f.offset + f.size));
            if low >= end || start >= high {
                continue;
            }
            let field = f.kind.name();
            if !f.kind.is_kptr() {
                return reject(TypeReason::SpecialField { field });
            }
            if touch == Touch::Call {
                return reject(TypeReason::KptrByCall { field });
            }
            if !r.var_off.is_const() {
                return reject(TypeReason::KptrVariable { field });
            }
            let at = i64::from(off).wrapping_add(r.var_off.value as i64);
            if at != start {
                return reject(TypeReason::KptrMisaligned { field, at: f.offset, off: at });
            }
            if size != 8 {
                return reject(TypeReason::KptrSize { field });
            }
            found = Some(*f);
        }
        Ok(found)
    }

    /// A load or store of a kernel pointer in a map value.
    pub(super) fn check_kptr_access(&mut self, value_reg: Option<u8>, field: &Field) -> Step {
        let insn = self.insn();
        if insn.mode() != mode::MEM {
            return reject(TypeReason::KptrMode {});
        }
        if insn.class() != class::LDX {
            let what = match field.kind {
                FieldKind::KptrRef | FieldKind::KptrPercpu => "referenced kptr",
                FieldKind::Uptr => "uptr",
                _ => "",
            };
            if !what.is_empty() {
                return reject(TypeReason::KptrStore { field: what });
            }
        }
        match (insn.class(), value_reg) {
            (class::LDX, Some(v)) if field.kind == FieldKind::Uptr => {
                let size = self.types_of(field.btf)?.size_of(field.type_id).unwrap_or(0);
                let ty = RegType::with(RegBase::Mem, TypeFlags::MAYBE_NULL);
                let id = self.new_id();
                *self.reg_mut(v) = RegState { id, ..RegState::pointer(ty, RegExtra::Mem { size, dynptr_id: 0 }) };
                Ok(())
            }
            (class::LDX, Some(v)) => {
                let flags = self.loaded_kptr_flags(field);
                self.mark_btf_reg(v, field.btf, field.type_id, flags);
                Ok(())
            }
            (class::STX, Some(v)) => {
                if self.reg(v).is_null() {
                    return self.mark_chain_precision(v);
                }
                self.check_kptr_type(field, v)
            }
            (class::ST, _) if insn.imm != 0 => reject(TypeReason::KptrStoreImm { off: field.offset }),
            _ => Ok(()),
        }
    }

    /// Modifiers of a kernel pointer that is loaded from a map value.
    fn loaded_kptr_flags(&self, field: &Field) -> TypeFlags {
        let local = field.btf == BtfRef::Program;
        let protected = || local || RCU_PROTECTED.contains(&self.type_name(field.btf, field.type_id).as_str());
        let rcu_safe = field.kind == FieldKind::KptrPercpu || field.kind == FieldKind::KptrRef && protected();
        let mut flags = TypeFlags::MAYBE_NULL;
        if !rcu_safe || !self.in_rcu_cs() {
            return flags | TypeFlags::UNTRUSTED;
        }
        flags |= TypeFlags::RCU;
        if field.kind == FieldKind::KptrPercpu {
            flags |= TypeFlags::PERCPU;
        } else if local {
            flags |= TypeFlags::ALLOC;
        }
        let node = local
            && self
                .struct_record(field.type_id)
                .is_some_and(|r| r.has(FieldKind::ListNode) || r.has(FieldKind::RbNode));
        if node { flags | TypeFlags::NON_OWN_REF } else { flags }
    }

    /// Whether the pointer in a register may be kept in a field for kernel pointers.
    pub fn check_kptr_type(&self, field: &Field, reg: u8) -> Step {
        let r = self.reg(reg);
        let target = self.type_name(field.btf, field.type_id);
        let bad = |name: String| {
            let or_untrusted = match field.kind {
                FieldKind::KptrUnref => format!(" or untrusted_ptr_{target}"),
                _ => String::new(),
            };
            let ty = reg_type_str(r.ty).into_owned();
            reject(TypeReason::KptrType { reg, ty, name, target: target.clone(), or_untrusted })
        };
        let RegExtra::Btf { btf, id } = r.extra else { return bad(String::new()) };
        let allowed = match (btf, field.kind) {
            (BtfRef::Vmlinux, FieldKind::KptrUnref) => {
                TypeFlags::MAYBE_NULL | TypeFlags::TRUSTED | TypeFlags::RCU | TypeFlags::UNTRUSTED
            }
            (BtfRef::Vmlinux, _) => TypeFlags::MAYBE_NULL | TypeFlags::TRUSTED | TypeFlags::RCU,
            (_, FieldKind::KptrPercpu) => TypeFlags::MAYBE_NULL | TypeFlags::ALLOC | TypeFlags::PERCPU,
            (BtfRef::Program, _) => TypeFlags::MAYBE_NULL | TypeFlags::ALLOC,
        };
        if r.ty.base != RegBase::BtfId || !allowed.contains(r.ty.flags) {
            return bad(String::new());
        }
        // Linux 6.18 does not ask whether what becomes a per-CPU object is one.
        if (field.kind == FieldKind::KptrPercpu) != r.ty.has(TypeFlags::PERCPU) && self.sees(Feature::PercpuKptrs) {
            return bad(String::new());
        }
        let name = self.type_name(btf, id);
        self.check_btf_offset(reg, true)?;
        let strict = field.kind != FieldKind::KptrUnref;
        let same_set = btf == field.btf;
        let fits = same_set
            && holds_struct(&*self.types_of(btf)?, id, r.off, field.type_id, strict, !r.ty.has(TypeFlags::ALLOC));
        if fits { Ok(()) } else { bad(name) }
    }

    /// A typed pointer must stand at a known place, and at its start unless `fixed_ok`.
    pub fn check_btf_offset(&self, reg: u8, fixed_ok: bool) -> Step {
        use crate::reason::MemoryReason;
        let r = self.reg(reg);
        let ty = || reg_type_str(r.ty).into_owned();
        if r.off < 0 {
            return reject(MemoryReason::NegativeOffset { ty: ty(), reg, off: r.off });
        }
        if !fixed_ok && r.off != 0 {
            return reject(MemoryReason::ModifiedPointer { ty: ty(), reg, off: r.off });
        }
        if !r.var_off.is_const() || r.var_off.value != 0 {
            let fixed = if self.has(Feature::WholeOffsets) { r.off } else { 0 };
            let at = r.var_off.add(Tnum::constant(i64::from(fixed) as u64));
            return reject(MemoryReason::VariableOffset { ty: ty(), var_off: self.bits(at) });
        }
        Ok(())
    }

    /// A pointer to a graph node of the type that a list head or tree root holds.
    pub fn graph_node_reg(&self, root: &Field) -> RegState {
        RegState { off: root.node_offset as i32, ..btf_reg(root.btf, root.type_id, TypeFlags::ALLOC) }
    }
}
