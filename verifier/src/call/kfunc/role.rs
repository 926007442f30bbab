//! What a pointer argument of a kernel function is: by the parameter's name and type first, by the register where these
//! leave it open.

use super::desc::{is_size, pointee_name};
use crate::memory::btf_walk::is_scalar_struct;
use crate::memory::types::{is_scalar, is_struct, kind_name};
use crate::reason::{KfuncReason, reject};
use crate::tables::kfuncs::{Desc, Param};
use crate::{Env, Step};
use ebpfkit_abi::Feature;
use ebpfkit_abi::kfuncs::{KfuncFlags as F, name};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Type, TypeId};

/// What a pointer argument is (`enum kfunc_ptr_arg_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Ctx,
    Alloc,
    Refcounted,
    Dynptr,
    Iter,
    ListHead,
    ListNode,
    TreeRoot,
    TreeNode,
    Struct,
    Mem,
    MemSize,
    Callback,
    Null,
    ConstStr,
    Map,
    Workqueue,
    Timer,
    TaskWork,
    IrqFlag,
    ResLock,
}

/// One pointer argument at work.
#[derive(Clone, Copy)]
pub(super) struct Arg<'a> {
    pub desc: &'a Desc,
    pub btf: &'a Btf,
    pub param: &'a Param,
    pub index: usize,
    pub reg: u8,
    /// Type that the parameter points to.
    pub target: TypeId,
}

impl Env<'_> {
    /// What a pointer argument is, by the parameter first and the register where that leaves it open.
    pub(super) fn kfunc_role(&mut self, a: Arg<'_>) -> Step<Role> {
        let r = *self.reg(a.reg);
        if a.desc.is(&[name::CAST_TO_KERN_CTX]) {
            return Ok(Role::Ctx);
        }
        let sized =
            a.desc.params.get(a.index + 1).is_some_and(|next| is_size(a.btf, next) && self.reg(a.reg + 1).is_scalar());
        if self.is_ctx_pointee(a.btf, a.target) || a.target == 0 && a.param.name == "ctx" {
            return Ok(Role::Ctx);
        }
        let nullable = a.param.has("__nullable") || a.param.has("__opt");
        if nullable && r.is_null() && !sized {
            return Ok(Role::Null);
        }
        for (suffix, role) in [("__alloc", Role::Alloc), ("__refcounted_kptr", Role::Refcounted)] {
            if a.param.has(suffix) {
                return Ok(role);
            }
        }
        let name = pointee_name(a.btf, a.param);
        if name == "bpf_dynptr"
            || name == "bpf_dynptr_kern" && (a.param.has("__uninit") || !self.has(Feature::GuardedDynptrs))
        {
            return Ok(Role::Dynptr);
        }
        let is_iter_api = a.desc.has(F::ITER_NEW) || a.desc.has(F::ITER_NEXT) || a.desc.has(F::ITER_DESTROY);
        if if is_iter_api { a.index == 0 } else { a.param.has("__iter") } {
            return Ok(Role::Iter);
        }
        let by_name = [
            ("bpf_list_head", Role::ListHead),
            ("bpf_list_node", Role::ListNode),
            ("bpf_rb_root", Role::TreeRoot),
            ("bpf_rb_node", Role::TreeNode),
        ];
        if let Some(&(_, role)) = by_name.iter().find(|(n, _)| *n == name) {
            return Ok(role);
        }
        for (suffix, role) in [("__str", Role::ConstStr), ("__const_map", Role::Map), ("__map", Role::Map)] {
            if a.param.has(suffix) {
                return Ok(role);
            }
        }
        match name {
            "bpf_wq" => return Ok(Role::Workqueue),
            "bpf_timer" => return Ok(Role::Timer),
            "bpf_task_work" => return Ok(Role::TaskWork),
            "bpf_res_spin_lock" => return Ok(Role::ResLock),
            _ if a.param.has("__irq_flag") => return Ok(Role::IrqFlag),
            _ => {}
        }
        if self.has(Feature::StructsFirst) {
            return self.kfunc_role_by_type(a);
        }
        if self.as_btf(&r)?.is_some() {
            if !is_struct(a.btf, a.target) {
                let (kind, ty) = (kind_name(a.btf.kind(a.target)), a.btf.name(a.target).to_owned());
                return reject(KfuncReason::PointerType { func: a.desc.name.clone(), index: a.index, kind, ty });
            }
            return Ok(Role::Struct);
        }
        if matches!(a.btf.get(a.btf.resolve(a.target)), Some(Type::FuncProto { .. })) {
            return Ok(Role::Callback);
        }
        let plain = self.is_plain_memory(a);
        if !(plain || sized && a.target == 0) {
            let (kind, ty) = (kind_name(a.btf.kind(a.target)), a.btf.name(a.target).to_owned());
            let void = if sized { "void, " } else { "" };
            return reject(KfuncReason::NotPlainMemory { index: a.index, kind, ty, void });
        }
        Ok(if sized { Role::MemSize } else { Role::Mem })
    }

    /// What is left of [`Self::kfunc_role`] where types alone say what an argument is; the register decides only whether a
    /// struct of numbers is a struct or memory.
    fn kfunc_role_by_type(&mut self, a: Arg<'_>) -> Step<Role> {
        let r = *self.reg(a.reg);
        if matches!(a.btf.get(a.btf.resolve(a.target)), Some(Type::FuncProto { .. })) {
            return Ok(Role::Callback);
        }
        let is_struct = is_struct(a.btf, a.target);
        let (kind, ty) = (kind_name(a.btf.kind(a.target)), a.btf.name(a.target).to_owned());
        let plain = self.is_plain_memory(a);
        if a.desc.params.get(a.index + 1).is_some_and(|next| is_size(a.btf, next)) {
            if plain || a.target == 0 {
                return Ok(Role::MemSize);
            }
            return reject(KfuncReason::NotPlainMemory { index: a.index, kind, ty, void: "void, " });
        }
        if is_struct && self.as_btf(&r)?.is_some() {
            return Ok(Role::Struct);
        }
        if plain {
            return Ok(Role::Mem);
        }
        if is_struct {
            let (ty, expected) = (self.kind_name(r.ty).into_owned(), format!("{kind} {ty}"));
            return reject(KfuncReason::OtherKind { reg: a.reg, ty, expected });
        }
        reject(KfuncReason::NotPlainMemory { index: a.index, kind, ty, void: "" })
    }

    /// Whether what a parameter points to is numbers and nothing else.
    fn is_plain_memory(&mut self, a: Arg<'_>) -> bool {
        is_scalar(a.btf, a.target)
            || is_scalar_struct(a.btf, a.target, 0).unwrap_or_else(|| {
                self.verbose(format_args!("max struct nesting depth exceeded\n"));
                false
            })
    }
}
