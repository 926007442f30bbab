//! Kernel functions as the kernel's BTF describes them.

use crate::domain::BtfRef;
use crate::memory::types::{is_scalar, pointee};
use crate::reason::{KfuncReason, reject};
use crate::tables::kfuncs::{Desc, Param};
use crate::{Env, Step, Stop};
use ebpfkit_abi::kfuncs::{self, KfuncFlags, Only, sched_ext};
use ebpfkit_abi::{Feature, ProgType};
use ebpfkit_isa::Insn;
use ebpfkit_object::Btf;
use ebpfkit_object::btf::{Kind, Type};
use std::rc::Rc;

impl Env<'_> {
    /// The kernel function with this BTF id; `None` when it is no function.
    pub(crate) fn kfunc(&self, id: u32) -> Option<Rc<Desc>> {
        if let Some(known) = self.tables.kfuncs.known.borrow().get(&id) {
            return known.clone();
        }
        let desc = self.types_of(BtfRef::Vmlinux).ok().and_then(|btf| describe(&btf, id));
        let desc = desc.map(|d| Rc::new(self.as_treated_here(d)));
        self.tables.kfuncs.known.borrow_mut().insert(id, desc.clone());
        desc
    }

    /// The function with its flags as the modelled kernel has them.
    fn as_treated_here(&self, mut desc: Desc) -> Desc {
        if desc.name.starts_with("bpf_arena_") && self.has(Feature::ArenaWithoutSleep) {
            desc.flags -= KfuncFlags::SLEEPABLE;
        }
        if desc.row.is_some() && self.has(Feature::TrustedArguments) {
            desc.flags |= KfuncFlags::TRUSTED_ARGS;
        }
        let filtered = || self.kernel().btf().is_some_and(|types| types.find(sched_ext::FILTER, Kind::Func).is_some());
        desc.by_operation = desc.row.is_some() && sched_ext::is_function(&desc.name) && filtered();
        desc
    }

    /// The kernel function that an instruction calls.
    pub(crate) fn kfunc_of(&self, insn: Insn) -> Option<Rc<Desc>> {
        let is_call = insn.is_kfunc_call() && insn.off == 0 && insn.imm != 0;
        if is_call { self.kfunc(insn.imm as u32) } else { None }
    }

    /// Whether this program may call the function.
    pub(crate) fn kfunc_allowed(&self, desc: &Desc) -> bool {
        let (mut kind, attach) = (self.effective_prog_type(), self.prog().attach_type);
        let raw = matches!(kind, ProgType::RawTracepoint | ProgType::RawTracepointWritable);
        if raw && self.has(Feature::RawTracepointKfuncs) {
            kind = ProgType::Tracepoint;
        }
        if desc.by_operation {
            // Control flow is looked at before it is known which operation the program is.
            let is_early = kind == ProgType::StructOps && self.struct_ops_name().is_empty();
            return is_early || sched_ext::allows(&desc.name, kind, self.struct_ops_name(), self.operation());
        }
        let sends = self.lsm_hook() == Some("socket_sendmsg");
        desc.row.is_some_and(|r| r.allowed(kind, attach) && !(sends && r.only == Only::NotSending))
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
        self.kfunc_of(insn).is_some_and(|d| d.allowed_under_lock(self.has(Feature::MoreKfuncsUnderLock)))
    }
}

fn describe(btf: &Btf, id: u32) -> Option<Desc> {
    let Some(Type::Func { proto, .. }) = btf.get(id) else { return None };
    let Some(Type::FuncProto { ret, .. }) = btf.get(proto) else { return None };
    let name = btf.name(id).to_owned();
    let params =
        btf.params(proto).map(|p| Param { name: p.name.to_owned(), ty: btf.resolve(p.ty) }).collect::<Vec<_>>();
    let full = format!("{name}_impl");
    let full_row = kfuncs::find(&full);
    let full_name = if full_row.is_some() { full } else { String::new() };
    let row = kfuncs::find(&name).or(full_row);
    let flags = row.map_or(KfuncFlags::empty(), |r| r.flags);
    Some(Desc { id, name, full_name, flags, row, by_operation: false, params, ret: btf.resolve(ret) })
}

/// Name of the struct that a parameter points to; empty when it points to none.
pub(super) fn pointee_name<'a>(btf: &'a Btf, p: &Param) -> &'a str {
    pointee(btf, p.ty).map_or("", |t| btf.name(t))
}

/// Whether a parameter is the size of the buffer before it: of at most (`__sz`) or exactly (`__szk`) that many bytes.
pub(super) fn is_size(btf: &Btf, p: &Param) -> bool {
    is_scalar(btf, p.ty) && (p.has("__sz") || p.has("__szk"))
}
