//! Arguments of kernel functions: what each parameter asks of its register.

use super::desc::pointee_name;
use super::meta::{IterArg, KfuncMeta};
use super::role::{Arg, Role};
use crate::domain::reg_type_str;
use crate::domain::{BtfRef, DynptrKind, RegBase, RegExtra, RegState, RegType};
use crate::memory::Access;
use crate::memory::btf_walk::find_struct;
use crate::memory::iter::{IterType, NoIter};
use crate::memory::types::{TRUSTED_MODIFIERS, is_scalar, kind_name, pointee};
use crate::reason::{GlobalReason, KfuncReason, ObjectReason, reject};
use crate::resource::LockKind;
use crate::tables::kfuncs::{Desc, Param};
use crate::{Env, Step, Stop};
use ebpfkit_abi::Feature;
use ebpfkit_abi::kfuncs::{KfuncFlags as F, name};
use ebpfkit_abi::limits::MAX_CALL_ARGS;
use ebpfkit_abi::{ArgBase, ArgType, AttachType, ProgType, TypeFlags, ctx_types};
use ebpfkit_object::btf::Kind;

/// An allocated object that the program owns or borrowed from a list or tree.
const ALLOC: RegType = RegType::with(RegBase::BtfId, TypeFlags::ALLOC);
const ALLOC_PERCPU: RegType = RegType::with(RegBase::BtfId, TypeFlags::ALLOC.union(TypeFlags::PERCPU));
const MAP_VALUE: RegType = RegType::of(RegBase::MapValue);

impl Env<'_> {
    /// Checks every argument of a call.
    pub(super) fn check_kfunc_args(&mut self, desc: &Desc, meta: &mut KfuncMeta) -> Step {
        if desc.params.len() > MAX_CALL_ARGS {
            return reject(KfuncReason::TooManyArgs { func: desc.name.clone(), count: desc.params.len() });
        }
        let btf = self.types_of(BtfRef::Vmlinux)?;
        let mut skip = false;
        for (index, param) in desc.params.iter().enumerate() {
            if std::mem::take(&mut skip) || param.has("__ign") || param.has("__prog") {
                continue;
            }
            let reg = index as u8 + 1;
            if is_scalar(&btf, param.ty) {
                self.check_kfunc_number(param, reg, meta)?;
                continue;
            }
            let Some(target) = pointee(&btf, param.ty) else {
                return reject(KfuncReason::ParamType { index, kind: kind_name(btf.kind(param.ty)) });
            };
            let arg = Arg { desc, btf: &btf, param, index, reg, target };
            let role = self.check_kfunc_pointer(arg, meta)?;
            skip = role == Role::MemSize;
        }
        if desc.has(F::RELEASE) && meta.release.is_none() && meta.released_dynptr.is_none() {
            return reject(KfuncReason::ReleasesNothing { func: desc.name.clone() });
        }
        Ok(())
    }

    fn check_kfunc_number(&mut self, param: &Param, reg: u8, meta: &mut KfuncMeta) -> Step {
        let r = *self.reg(reg);
        if !r.is_scalar() {
            return reject(GlobalReason::NoScalar { reg });
        }
        if param.has("__k") {
            if !r.var_off.is_const() {
                return reject(KfuncReason::NotConstant { reg });
            }
            self.mark_chain_precision(reg)?;
            meta.constant = Some(r.var_off.value);
            return Ok(());
        }
        let rdonly = param.name == "rdonly_buf_size";
        if !rdonly && param.name != "rdwr_buf_size" {
            return Ok(());
        }
        if !r.var_off.is_const() {
            return reject(KfuncReason::SizeNotConstant { reg });
        }
        if r.var_off.value > u32::MAX.into() {
            return reject(KfuncReason::SizeTooLarge { reg });
        }
        meta.ret_rdonly |= rdonly;
        meta.ret_size = r.var_off.value;
        self.mark_chain_precision(reg)
    }

    fn check_kfunc_pointer(&mut self, a: Arg<'_>, meta: &mut KfuncMeta) -> Step<Role> {
        let r = *self.reg(a.reg);
        let (trusted, rcu) = (a.desc.trusted_args(), a.desc.has(F::RCU));
        let nullable = a.param.has("__nullable");
        if a.param.has("__arena") || a.param.has("__arena__nullable") {
            // Any number is an address of the program's arena, and the function looks at what is there.
            return match r.is_scalar() || r.ty == RegType::of(RegBase::Arena) {
                true => Ok(Role::Null),
                false => Err(Stop::unsupported("arguments in arenas that are other pointers")),
            };
        }
        let looks = self.has(Feature::TrustedPointers);
        if looks && (trusted || rcu) && (r.is_null() || r.ty.may_be_null()) && !nullable {
            return reject(KfuncReason::PossiblyNull { index: a.index });
        }
        if r.ref_obj_id != 0 {
            meta.ref_obj_id = r.ref_obj_id;
            if a.desc.has(F::RELEASE) {
                meta.release = Some(a.reg);
            }
        }
        if a.desc.has(F::RELEASE)
            && self.has(Feature::ReleasesNamed)
            && r.ref_obj_id == 0
            && !r.is_null()
            && pointee_name(a.btf, a.param) != "bpf_dynptr"
        {
            return reject(KfuncReason::ReleasesUnowned { func: a.desc.name.clone(), reg: a.reg });
        }
        let role = self.kfunc_role(a)?;
        if role == Role::Null {
            return Ok(role);
        }
        if role == Role::Map {
            self.note_kfunc_map(a, meta)?;
        }
        let release = if a.desc.has(F::RELEASE) && r.ref_obj_id != 0 { TypeFlags::RELEASE } else { TypeFlags::empty() };
        let arg_type = ArgType { base: ArgBase::DontCare, flags: release, size: 0, btf: "" };
        if self.has(Feature::StructsFirst) {
            self.check_arg_offset(arg_type, a.reg)?;
        }
        if matches!(role, Role::Map | Role::Alloc | Role::Struct) && (trusted || rcu) && !r.is_trusted() {
            if !rcu {
                return reject(KfuncReason::NotTrusted { reg: a.reg });
            }
            if !r.is_rcu() {
                return reject(KfuncReason::NotRcu { reg: a.reg });
            }
        }
        if !self.has(Feature::StructsFirst) {
            self.check_arg_offset(arg_type, a.reg)?;
        }
        self.check_kfunc_role(a, role, meta)?;
        Ok(role)
    }

    fn check_kfunc_role(&mut self, a: Arg<'_>, role: Role, meta: &mut KfuncMeta) -> Step {
        let (r, index) = (*self.reg(a.reg), a.index);
        match role {
            Role::Ctx => {
                if r.ty != RegType::of(RegBase::Ctx) {
                    let ty = reg_type_str(r.ty).into_owned();
                    return reject(KfuncReason::NotContext { index, ty });
                }
                Ok(())
            }
            Role::Alloc => self.check_kfunc_object(a, meta),
            Role::Dynptr => self.check_kfunc_dynptr(a, meta),
            Role::Iter => self.check_kfunc_iter(a, meta),
            Role::ListHead | Role::TreeRoot => {
                if r.ty != MAP_VALUE && r.ty != ALLOC {
                    return reject(KfuncReason::NotValueOrObject { index });
                }
                if r.ty == ALLOC && r.ref_obj_id == 0 {
                    return reject(KfuncReason::NotReferenced {});
                }
                self.check_graph_root(a.reg, role == Role::ListHead, meta)
            }
            Role::ListNode => {
                let inside = a.desc.is(&[name::LIST_DEL, name::LIST_IS_FIRST, name::LIST_IS_LAST]);
                if inside || a.desc.is(&[name::LIST_ADD]) && index == 2 {
                    if !r.is_non_owning() && r.ref_obj_id == 0 {
                        return reject(KfuncReason::NodeNotBorrowed { func: a.desc.name.clone() });
                    }
                } else {
                    self.check_owned_node(&r, index)?;
                }
                self.check_graph_node(a.reg, true, meta)
            }
            Role::TreeNode => {
                if a.desc.is(&[name::RBTREE_ADD_IMPL]) {
                    self.check_owned_node(&r, index)?;
                } else {
                    let owned = r.ref_obj_id != 0 && self.has(Feature::OwnedNodesInTrees);
                    if !r.is_non_owning() && !owned {
                        return reject(KfuncReason::NodeNotBorrowed { func: a.desc.name.clone() });
                    }
                    if self.in_tree_callback() {
                        return reject(KfuncReason::NotInTreeCallback { func: a.desc.name.clone() });
                    }
                }
                self.check_graph_node(a.reg, false, meta)
            }
            Role::Map => self.check_kfunc_map(a),
            Role::Struct => self.check_kfunc_struct(a),
            Role::Mem => {
                let Some(size) = a.btf.size_of(a.target) else {
                    return Err(Stop::unsupported("an argument that points to something without size"));
                };
                self.check_sized_mem(a.reg, size)
            }
            Role::MemSize => self.check_kfunc_buffer(a, meta),
            Role::Callback => match r.extra {
                RegExtra::Func { subprog } => {
                    meta.callback = Some(subprog);
                    Ok(())
                }
                _ => reject(KfuncReason::NotFunction { index }),
            },
            Role::Refcounted => {
                if self.has(Feature::RefcountsAtStart) {
                    self.check_btf_offset(a.reg, false)?;
                }
                if !r.is_alloc_object() {
                    return reject(KfuncReason::NotReference { index });
                }
                meta.owning |= !r.is_non_owning() && r.ref_obj_id != 0;
                let record = self.record_of(&r).filter(|rec| !rec.fields.is_empty());
                let Some(record) = record else { return reject(KfuncReason::NoRecord {}) };
                if !record.has(ebpfkit_object::record::FieldKind::Refcount) {
                    return reject(KfuncReason::NotRefcounted { index });
                }
                meta.object = r.btf();
                Ok(())
            }
            Role::ConstStr => {
                if r.ty != MAP_VALUE {
                    return reject(KfuncReason::NotConstString { index });
                }
                self.check_const_string(a.reg)
            }
            Role::Workqueue => self.check_kfunc_field(a, ebpfkit_object::record::FieldKind::Workqueue, meta),
            Role::Timer => self.check_kfunc_field(a, ebpfkit_object::record::FieldKind::Timer, meta),
            Role::TaskWork => self.check_kfunc_field(a, ebpfkit_object::record::FieldKind::TaskWork, meta),
            Role::IrqFlag => {
                if r.ty != RegType::of(RegBase::Stack) {
                    return reject(KfuncReason::IrqFlagNotOnStack { index });
                }
                let native = !a.desc.name.contains("spin");
                let saves = a.desc.is(&[name::LOCAL_IRQ_SAVE, name::RES_SPIN_LOCK_IRQSAVE]);
                if saves { self.save_irq_flag(a.reg, native) } else { self.restore_irq_flag(a.reg, native) }
            }
            Role::ResLock => {
                if r.ty != MAP_VALUE && r.ty != ALLOC {
                    return reject(KfuncReason::LockNotInObject { index });
                }
                if self.has(Feature::NoLocksInTreeCallbacks) && self.in_tree_callback() {
                    return reject(KfuncReason::LockInTreeCallback {});
                }
                let kind = if a.desc.name.contains("irq") { LockKind::ResilientIrq } else { LockKind::Resilient };
                if a.desc.name.contains("unlock") {
                    self.process_unlock(a.reg, kind)
                } else {
                    self.process_lock(a.reg, kind)
                }
            }
            Role::Null => Ok(()),
        }
    }

    fn check_owned_node(&self, r: &RegState, index: usize) -> Step {
        if r.ty != ALLOC {
            return reject(KfuncReason::NotObject { index });
        }
        if r.ref_obj_id == 0 {
            return reject(KfuncReason::NotReferenced {});
        }
        Ok(())
    }

    fn note_kfunc_map(&mut self, a: Arg<'_>, meta: &mut KfuncMeta) -> Step {
        use ebpfkit_object::record::FieldKind::{TaskWork, Workqueue};
        let r = *self.reg(a.reg);
        let RegExtra::Map { map, uid } = r.extra else {
            // A typed pointer may be one to the kernel's struct of a map.
            let typed = matches!(r.extra, RegExtra::Btf { .. });
            return if typed { Ok(()) } else { reject(KfuncReason::NotMap { reg: a.reg }) };
        };
        let record = &self.maps[map as usize].record;
        if let Some((seen, seen_uid)) = meta.map
            && (record.has(Workqueue) || record.has(TaskWork))
            && (seen, seen_uid) != (map, uid)
        {
            return reject(if record.has(Workqueue) {
                KfuncReason::OtherMap { what: "workqueue", field: 1, field_uid: seen_uid, reg: 2, uid }
            } else {
                KfuncReason::OtherMap { what: "bpf_task_work", field: 2, field_uid: seen_uid, reg: 3, uid }
            });
        }
        meta.map = Some((map, uid));
        Ok(())
    }

    fn check_kfunc_object(&mut self, a: Arg<'_>, meta: &mut KfuncMeta) -> Step {
        let (r, index) = (*self.reg(a.reg), a.index);
        let expected = if r.ty == ALLOC {
            name::OBJ_DROP_IMPL
        } else if r.ty == ALLOC_PERCPU {
            name::PERCPU_OBJ_DROP_IMPL
        } else {
            return reject(KfuncReason::NotObject { index });
        };
        if a.desc.api_name() != expected {
            return reject(KfuncReason::ObjectForOther {
                index,
                func: expected,
                short: expected.trim_end_matches("_impl"),
            });
        }
        if r.ref_obj_id == 0 {
            return reject(KfuncReason::NotReferenced {});
        }
        meta.object = r.btf();
        Ok(())
    }

    fn check_kfunc_dynptr(&mut self, a: Arg<'_>, meta: &mut KfuncMeta) -> Step {
        let r = *self.reg(a.reg);
        let mut flags = TypeFlags::empty();
        if r.ty.base == RegBase::ConstDynptr {
            flags |= TypeFlags::RDONLY;
        }
        let uninit = a.param.has("__uninit");
        if uninit {
            flags |= TypeFlags::UNINIT;
        }
        let mut shared = 0;
        flags |= match a.desc.name.as_str() {
            name::DYNPTR_FROM_SKB => TypeFlags::DYNPTR_SKB,
            name::DYNPTR_FROM_XDP => TypeFlags::DYNPTR_XDP,
            name::DYNPTR_FROM_SKB_META => TypeFlags::DYNPTR_SKB_META,
            name::DYNPTR_FROM_FILE | name::DYNPTR_FILE_DISCARD => TypeFlags::DYNPTR_FILE,
            name::DYNPTR_CLONE if uninit => {
                let Some(parent) = meta.dynptr else { return Err(Stop::unsupported("a copy of no dynptr")) };
                shared = parent.ref_obj_id;
                parent.kind.flag()
            }
            _ => TypeFlags::empty(),
        };
        let parent = meta.ref_obj_id;
        self.process_dynptr_over(a.reg, flags, shared, parent)?;
        if !uninit {
            meta.dynptr = self.dynptr_at(&r);
        }
        if a.desc.has(F::RELEASE) {
            meta.released_dynptr = Some(a.reg);
        }
        Ok(())
    }

    fn check_kfunc_iter(&mut self, a: Arg<'_>, meta: &mut KfuncMeta) -> Step {
        let (r, index) = (*self.reg(a.reg), a.reg - 1);
        if a.desc.is(&[name::ITER_CSS_TASK_NEW]) && !self.css_task_iter_allowed() {
            return reject(KfuncReason::CssTaskIter {});
        }
        if r.ty != RegType::of(RegBase::Stack) {
            return reject(ObjectReason::IterNotOnStack { index });
        }
        let name = a.btf.name(a.target);
        let size = a.btf.size_of(a.target).unwrap_or(0) as usize;
        let is_iter = a.btf.kind(a.target) == Some(Kind::Struct) && size != 0 && size.is_multiple_of(8);
        let Some(short) = name.strip_prefix("bpf_iter_").filter(|_| is_iter) else {
            return reject(ObjectReason::IterType { index });
        };
        let ty = IterType { id: a.target, name: short.to_owned(), slots: size / 8 };
        if a.desc.has(F::ITER_NEW) {
            return self.new_iter(a.reg, &ty, a.desc.has(F::RCU_PROTECTED));
        }
        let slot = match self.iter_at(&r, &ty) {
            Ok(slot) => slot,
            Err(NoIter::Missing) => return reject(ObjectReason::IterNotInit { iter: ty.name, index }),
            Err(NoIter::Untrusted) => return reject(ObjectReason::IterOutsideRcu { func: a.desc.name.clone() }),
        };
        let frame = r.frameno as usize;
        self.read_iter(frame, slot, ty.slots);
        meta.ref_obj_id = self.path.state.frame(frame).stack.slots[slot].spilled.ref_obj_id;
        if a.desc.has(F::ITER_DESTROY) {
            self.destroy_iter(frame, slot, ty.slots);
        }
        meta.iter = Some(IterArg { frame, slot });
        Ok(())
    }

    /// Iterators over the tasks of a control group could deadlock elsewhere.
    fn css_task_iter_allowed(&self) -> bool {
        match self.effective_prog_type() {
            ProgType::Lsm => true,
            ProgType::Tracing if self.prog().attach_type == AttachType::TraceIter => true,
            _ => self.in_sleepable(),
        }
    }

    /// A map where the function takes a `struct bpf_map`.
    fn check_kfunc_map(&mut self, a: Arg<'_>) -> Step {
        let Some(target) = a.btf.find("bpf_map", Kind::Struct) else {
            return Err(Stop::unsupported("maps as arguments without the kernel's type of them"));
        };
        self.check_kfunc_struct(Arg { target, ..a })
    }

    fn check_kfunc_struct(&mut self, a: Arg<'_>) -> Step {
        let r = *self.reg(a.reg);
        let is_btf = r.ty.base == RegBase::BtfId && (!r.has_unsafe_modifiers() || r.is_rcu());
        let own = self.as_btf(&r)?.filter(|_| is_btf || r.ty.base != RegBase::BtfId);
        let Some((origin, own)) = own else {
            let expected_ty = RegType::with(r.ty.base, r.ty.flags & TRUSTED_MODIFIERS);
            let (ty, expected) = (reg_type_str(r.ty).into_owned(), reg_type_str(expected_ty).into_owned());
            return reject(KfuncReason::StructKind { index: a.index, ty, expected });
        };
        let own_types = self.types_of(origin)?;
        let own = own_types.resolve(own);
        let (has, wants) = (own_types.name(own), a.btf.name(a.target));
        let no_cast = |alias: &str, of: &str| alias.strip_suffix("___init") == Some(of);
        let strict = a.desc.has(F::RELEASE) && r.ref_obj_id != 0 || no_cast(has, wants) || no_cast(wants, has);
        let found = if origin == BtfRef::Vmlinux {
            find_struct(a.btf, own, r.off, a.target, strict, !r.ty.has(TypeFlags::ALLOC))
        } else {
            Ok(false)
        };
        let same = found.unwrap_or_else(|why| {
            self.verbose(format_args!("{why}\n"));
            false
        });
        if same || ctx_types::is_projection(wants, has) {
            return Ok(());
        }
        reject(KfuncReason::OtherStruct {
            func: a.desc.name.clone(),
            index: a.index,
            want_kind: kind_name(a.btf.kind(a.target)),
            want: wants.to_owned(),
            reg: a.reg,
            kind: kind_name(own_types.kind(own)),
            has: has.to_owned(),
        })
    }

    /// A buffer whose size is the next argument.
    fn check_kfunc_buffer(&mut self, a: Arg<'_>, meta: &mut KfuncMeta) -> Step {
        let (saved, size_reg) = (*self.reg(a.reg), a.reg + 1);
        let optional = a.param.has("__opt") || a.param.has("__nullable");
        let exact = a.desc.params[a.index + 1].has("__szk");
        if exact && self.has(Feature::StructsFirst) && !self.reg(size_reg).var_off.is_const() {
            return reject(KfuncReason::NotConstant { reg: size_reg });
        }
        if !(saved.is_null() && optional) {
            if saved.ty.may_be_null() {
                self.assume_not_null(a.reg);
            }
            let fits = self
                .check_mem_size_reg(a.reg, size_reg, Access::Read, true, None)
                .and_then(|()| self.check_mem_size_reg(a.reg, size_reg, Access::Write, true, None));
            if saved.ty.may_be_null() {
                *self.reg_mut(a.reg) = saved;
            }
            match fits {
                Err(Stop::Reject(why)) if self.is_explained(&why) => return Err(Stop::Reject(why)),
                Err(Stop::Reject(why)) => {
                    self.because(&why);
                    return reject(KfuncReason::BadBuffer { index: a.index, size: a.index + 1 });
                }
                other => other?,
            }
        }
        if exact {
            let size = *self.reg(size_reg);
            if !size.var_off.is_const() {
                return reject(KfuncReason::NotConstant { reg: size_reg });
            }
            meta.constant = Some(size.var_off.value);
        }
        Ok(())
    }

    /// A work queue or task work in a map's value.
    fn check_kfunc_field(&mut self, a: Arg<'_>, kind: ebpfkit_object::record::FieldKind, meta: &mut KfuncMeta) -> Step {
        use crate::reason::ResourceReason;
        let r = *self.reg(a.reg);
        if r.ty != MAP_VALUE {
            return reject(KfuncReason::NotMapValue { index: a.index });
        }
        let RegExtra::Map { map, uid } = r.extra else { return reject(KfuncReason::NotMapValue { index: a.index }) };
        let field = kind.name();
        if !r.var_off.is_const() {
            return reject(ResourceReason::LockNotConstant { reg: a.reg, field: field.to_owned() });
        }
        let used = &self.maps[map as usize];
        let name = || used.def.name.clone();
        if used.def.value_type == 0 {
            return reject(ResourceReason::MapWithoutBtf { map: name(), field: field.to_owned() });
        }
        let Some(at) = used.record.find(kind).map(|f| f.offset) else {
            return reject(KfuncReason::NoField { map: name(), field });
        };
        let off = i64::from(r.off).wrapping_add(r.var_off.value as i64);
        if off != i64::from(at) {
            return reject(KfuncReason::WrongFieldOffset { off, field, at });
        }
        meta.map = Some((map, uid));
        Ok(())
    }
}

/// The kind of a dynptr that is over a packet, so that slices of it go when the packet changes.
pub(super) fn slice_flag(kind: DynptrKind) -> TypeFlags {
    kind.flag()
}
