//! What kernel functions return.

use super::args::slice_flag;
use super::meta::KfuncMeta;
use crate::domain::{BtfRef, RegBase, RegExtra, RegState, RegType};
use crate::memory::btf_object::probed_memory;
use crate::memory::btf_walk::is_scalar_struct;
use crate::memory::types::{btf_reg, is_scalar, is_struct, kind_name};
use crate::reason::{KfuncReason, reject};
use crate::tables::kfuncs::Desc;
use crate::{Env, Step, Stop};
use ebpfkit_abi::kfuncs::{KfuncFlags as F, name};
use ebpfkit_abi::{Feature, TypeFlags, ctx_types};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type, TypeId};

/// Largest object that `bpf_percpu_obj_new` makes (`BPF_GLOBAL_PERCPU_MA_MAX_SIZE`).
const MAX_PERCPU_OBJECT: u32 = 512;

impl Env<'_> {
    /// Sets r0 to what the function returns.
    pub(super) fn set_kfunc_return(&mut self, desc: &Desc, meta: &mut KfuncMeta) -> Step {
        let btf = self.types_of(BtfRef::Vmlinux)?;
        if is_scalar(&btf, desc.ret) {
            self.mark_reg_unknown(0);
            if desc.is(&[name::RES_SPIN_LOCK, name::RES_SPIN_LOCK_IRQSAVE]) {
                self.mark_reg_known_zero(0);
            }
            return Ok(());
        }
        let Some(Type::Ptr(target)) = btf.get(desc.ret) else { return Ok(()) };
        let target = btf.resolve(target);
        let mut reg = match self.special_return(desc, meta, &btf, target)? {
            Some(reg) => reg,
            None => self.plain_return(desc, meta, &btf, target)?,
        };
        // What is no pointer to anything known is a number, null or not.
        if desc.has(F::RET_NULL) && !reg.is_scalar() && !(desc.is(&[name::REFCOUNT_ACQUIRE_IMPL]) && meta.owning) {
            reg.ty.flags |= TypeFlags::MAYBE_NULL;
            reg.id = self.new_id();
        }
        if desc.has(F::ACQUIRE) {
            let id = self.acquire_reference(self.path.insn_idx);
            if reg.ty.may_be_null() {
                reg.id = id;
            }
            reg.ref_obj_id = id;
        } else if matches!(btf.name(target), "bpf_rb_node" | "bpf_list_node") {
            let root = if desc.is_list_api() { meta.list } else { meta.tree };
            if let Some(root) = root {
                reg.ty.flags |= self.borrowed_node(&root).ty.flags;
            }
        }
        if reg.id == 0 {
            // Whether a lock lies in the object does not depend on whether it may be null.
            let plain = RegState { ty: RegType::with(reg.ty.base, reg.ty.flags - TypeFlags::MAYBE_NULL), ..reg };
            if self.may_hold_lock(&plain) {
                reg.id = self.new_id();
            }
        }
        *self.reg_mut(0) = reg;
        Ok(())
    }

    fn plain_return(&mut self, desc: &Desc, meta: &mut KfuncMeta, btf: &Btf, target: TypeId) -> Step<RegState> {
        if target == 0 {
            return Ok(self.unknown_scalar());
        }
        if !is_struct(btf, target) {
            if desc.is(&[name::SESSION_COOKIE]) {
                (meta.ret_size, meta.ret_rdonly) = (8, false);
            }
            if meta.ret_size == 0
                && let Some(size) = btf.size_of(target)
            {
                (meta.ret_size, meta.ret_rdonly) = (size.into(), true);
            }
            if meta.ret_size == 0 {
                let (kind, ty) = (kind_name(btf.kind(target)), btf.name(target).to_owned());
                return reject(KfuncReason::ReturnType { func: desc.name.clone(), kind, ty });
            }
            let flags = if meta.ret_rdonly { TypeFlags::RDONLY } else { TypeFlags::empty() };
            let extra = RegExtra::Mem { size: meta.ret_size as u32, dynptr_id: 0 };
            let reg = RegState::pointer(RegType::with(RegBase::Mem, flags), extra);
            return Ok(RegState { ref_obj_id: meta.ref_obj_id, ..reg });
        }
        let mut flags = TypeFlags::empty();
        if desc.is(&[name::GET_KMEM_CACHE]) {
            flags |= TypeFlags::UNTRUSTED;
        } else if desc.has(F::RCU_PROTECTED) {
            flags |= TypeFlags::RCU;
        } else if !desc.has(F::ITER_NEXT) && self.has(Feature::TrustedResults) {
            flags |= TypeFlags::TRUSTED;
        }
        if desc.has(F::ITER_NEXT)
            && let Some(iter) = &meta.iter
        {
            let slot = &self.path.state.frame(iter.frame).stack.slots[iter.slot].spilled;
            flags |= if slot.ty.has(TypeFlags::RCU) { TypeFlags::RCU } else { TypeFlags::TRUSTED };
        }
        Ok(self.kernel_pointer(target, flags))
    }

    /// Functions whose result depends on their arguments.
    fn special_return(
        &mut self,
        desc: &Desc,
        meta: &mut KfuncMeta,
        btf: &Btf,
        target: TypeId,
    ) -> Step<Option<RegState>> {
        Ok(Some(match desc.api_name() {
            name::OBJ_NEW_IMPL => self.new_object(meta, false)?,
            name::PERCPU_OBJ_NEW_IMPL => self.new_object(meta, true)?,
            name::REFCOUNT_ACQUIRE_IMPL => {
                let Some((origin, id)) = meta.object else { return Err(Stop::unsupported("an object without type")) };
                btf_reg(origin, id, TypeFlags::ALLOC)
            }
            _ if matches!(btf.name(target), "bpf_list_node" | "bpf_rb_node") => {
                let root = if desc.is_list_api() { meta.list } else { meta.tree };
                let Some(root) = root else { return Err(Stop::unsupported("an element of no list or tree")) };
                self.graph_node_reg(&root)
            }
            name::CAST_TO_KERN_CTX => {
                let kernel = ctx_types::find(self.effective_prog_type()).map_or("", |c| c.kernel);
                let Some(id) = btf.find(kernel, Kind::Struct) else {
                    return Err(Stop::unsupported("the kernel's struct behind this context"));
                };
                btf_reg(BtfRef::Vmlinux, id, TypeFlags::TRUSTED)
            }
            name::RDONLY_CAST => self.read_only_cast(meta, btf)?,
            name::DYNPTR_SLICE | name::DYNPTR_SLICE_RDWR => {
                let (Some(from), Some(size)) = (meta.dynptr, meta.constant) else {
                    return Err(Stop::unsupported("a slice of no dynptr"));
                };
                let mut flags = slice_flag(from.kind);
                if desc.name == name::DYNPTR_SLICE {
                    flags |= TypeFlags::RDONLY;
                } else if !self.may_write_packet() {
                    return reject(KfuncReason::PacketWrites {});
                }
                let extra = RegExtra::Mem { size: size as u32, dynptr_id: from.id };
                RegState::pointer(RegType::with(RegBase::Mem, flags), extra)
            }
            _ => return Ok(None),
        }))
    }

    /// A new object of a struct in the program's types.
    fn new_object(&mut self, meta: &KfuncMeta, percpu: bool) -> Step<RegState> {
        let Some(value) = meta.constant else { return Err(Stop::unsupported("an object without type")) };
        let Ok(id) = u32::try_from(value) else { return reject(KfuncReason::LocalTypeRange {}) };
        let Some(types) = self.btf() else { return reject(KfuncReason::NeedsProgramBtf {}) };
        if types.kind(id) != Some(Kind::Struct) {
            return reject(KfuncReason::LocalTypeNoStruct {});
        }
        if percpu {
            let size = types.size_of(id).unwrap_or(0);
            if size > MAX_PERCPU_OBJECT {
                return reject(KfuncReason::PercpuTooLarge { size, max: MAX_PERCPU_OBJECT });
            }
            if is_scalar_struct(types, id, 0) != Some(true) {
                return reject(KfuncReason::PercpuNoScalars {});
            }
            if self.struct_record(id).is_some() {
                return reject(KfuncReason::PercpuSpecialFields {});
            }
            return Ok(btf_reg(BtfRef::Program, id, TypeFlags::ALLOC | TypeFlags::PERCPU));
        }
        Ok(btf_reg(BtfRef::Program, id, TypeFlags::ALLOC))
    }

    fn read_only_cast(&mut self, meta: &KfuncMeta, btf: &Btf) -> Step<RegState> {
        let Some(value) = meta.constant else { return Err(Stop::unsupported("a cast without type")) };
        let id = u32::try_from(value).ok().filter(|&id| id < btf.len());
        let Some(id) = id else { return reject(KfuncReason::UnknownCastType { id: value as i64 }) };
        if is_struct(btf, id) {
            return Ok(btf_reg(BtfRef::Vmlinux, id, TypeFlags::UNTRUSTED));
        }
        if id != 0 || !self.has(Feature::UntrustedMemory) {
            return reject(KfuncReason::CastType {});
        }
        Ok(probed_memory())
    }
}
