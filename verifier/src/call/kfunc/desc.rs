//! Kernel functions as the kernel's BTF describes them.

use crate::domain::BtfRef;
use crate::memory::types::{is_scalar, pointee};
use crate::reason::{KfuncReason, reject};
use crate::tables::kfuncs::{Desc, Param};
use crate::{Env, Step, Stop};
use ebpfkit_abi::kfuncs;
use ebpfkit_isa::Insn;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::Type;
use std::rc::Rc;

impl Env<'_> {
    /// The kernel function with this BTF id; `None` when it is no function.
    pub(crate) fn kfunc(&self, id: u32) -> Option<Rc<Desc>> {
        if let Some(known) = self.tables.kfuncs.known.borrow().get(&id) {
            return known.clone();
        }
        let desc = self.types_of(BtfRef::Vmlinux).ok().and_then(|btf| describe(&btf, id)).map(Rc::new);
        self.tables.kfuncs.known.borrow_mut().insert(id, desc.clone());
        desc
    }

    /// The kernel function that an instruction calls.
    pub(crate) fn kfunc_of(&self, insn: Insn) -> Option<Rc<Desc>> {
        let is_call = insn.is_kfunc_call() && insn.off == 0 && insn.imm != 0;
        if is_call { self.kfunc(insn.imm as u32) } else { None }
    }

    /// Whether this program may call the function.
    pub(crate) fn kfunc_allowed(&self, desc: &Desc) -> bool {
        desc.row.is_some_and(|r| r.allowed(self.effective_prog_type(), self.prog().attach_type))
    }

    /// The kernel function that an instruction calls, when the program may call it.
    pub(crate) fn allowed_kfunc_of(&self, insn: Insn) -> Option<Rc<Desc>> {
        self.kfunc_of(insn).filter(|d| self.kfunc_allowed(d))
    }

    /// Before the walk: whether a kernel function that is called can be called at all.
    pub fn add_kfunc_call(&mut self, func_id: u32, btf_index: i16) -> Step {
        if !self.kernel().jit {
            return reject(KfuncReason::NeedsJit {});
        }
        if !self.is_gpl_compatible() {
            return reject(KfuncReason::NeedsGpl {});
        }
        if func_id == 0 && btf_index == 0 {
            return Ok(());
        }
        if btf_index != 0 {
            return Err(Stop::unsupported("functions of kernel modules"));
        }
        self.types_of(BtfRef::Vmlinux)?;
        let Some(desc) = self.kfunc(func_id) else { return reject(KfuncReason::NoFunction { id: func_id }) };
        if desc.name.starts_with("bpf_xdp_metadata_") {
            return reject(KfuncReason::NeedsDevice {});
        }
        Ok(())
    }

    /// Whether a call of a kernel function may be made while a lock is held.
    pub(super) fn kfunc_under_lock(&self, insn: Insn) -> bool {
        self.kfunc_of(insn).is_some_and(|d| d.allowed_under_lock())
    }
}

fn describe(btf: &Btf, id: u32) -> Option<Desc> {
    let Some(Type::Func { proto, .. }) = btf.get(id) else { return None };
    let Some(Type::FuncProto { ret, .. }) = btf.get(proto) else { return None };
    let name = btf.name(id).to_owned();
    let params =
        btf.params(proto).map(|p| Param { name: p.name.to_owned(), ty: btf.resolve(p.ty) }).collect::<Vec<_>>();
    let row = kfuncs::find(&name);
    Some(Desc { id, name, row, params, ret: btf.resolve(ret) })
}

/// Name of the struct that a parameter points to; empty when it points to none.
pub(super) fn pointee_name<'a>(btf: &'a Btf, p: &Param) -> &'a str {
    pointee(btf, p.ty).map_or("", |t| btf.name(t))
}

/// Whether a parameter is the size of the buffer before it: of at most (`__sz`) or exactly (`__szk`) that many bytes.
pub(super) fn is_size(btf: &Btf, p: &Param) -> bool {
    is_scalar(btf, p.ty) && (p.has("__sz") || p.has("__szk"))
}
