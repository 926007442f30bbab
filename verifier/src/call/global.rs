//! Global functions: callers are held against the contract, and the function is verified on its own, once, for any
//! arguments that keep it.

use crate::domain::reg_type_str;
use crate::domain::{BtfRef, DynptrKind, RegBase, RegExtra, RegState, RegType};
use crate::memory::Access;
use crate::memory::btf_walk::holds_struct;
use crate::memory::dynptr::dynptr_reg;
use crate::memory::types::btf_reg;
use crate::reason::{
    CallReason, GlobalReason, MemoryReason, ObjectReason, ProgramReason, Reason, ResourceReason, reject,
};
use crate::{Env, Step, Stop, VerifierState};
use ebpfkit_abi::{ArgBase, ArgType, Feature, TypeFlags};
use ebpfkit_object::ProgramFlags;

/// An argument whose place its kind alone decides.
const ANYWHERE: ArgType = ArgType { base: ArgBase::DontCare, flags: TypeFlags::empty(), size: 0, btf: "" };

impl Env<'_> {
    /// A call of a global function: its contract is checked, its body is not entered.
    pub(super) fn check_global_call(&mut self, subprog: usize) -> Step {
        let fits = self.check_global_args(subprog);
        if let Err(Stop::Unsupported(what)) = fits {
            return Err(Stop::Unsupported(what));
        }
        if self.path.state.res.active_locks != 0 {
            return reject(ResourceReason::GlobalUnderLock {});
        }
        if self.path.state.res.active_preempt_locks != 0 && !self.kernel().has(Feature::GlobalCallsInPreemptOff) {
            return reject(ResourceReason::GlobalInPreemptOff {});
        }
        let sleepless = |env: &Self| {
            let res = &env.path.state.res;
            res.active_rcu_locks != 0 || res.active_preempt_locks != 0 || res.active_irq_id != 0 || !env.in_sleepable()
        };
        if self.subprogs[subprog].might_sleep && sleepless(self) {
            let res = &self.path.state.res;
            let region = if res.active_rcu_locks != 0 {
                "rcu_read_lock region"
            } else if res.active_preempt_locks != 0 {
                "non-preemptible region"
            } else if res.active_irq_id != 0 {
                "IRQ-disabled region"
            } else {
                "non-sleepable prog"
            };
            let func = self.subprogs[subprog].name.clone();
            return reject(ResourceReason::SleepableGlobal { func, region });
        }
        let name = self.subprogs[subprog].name.clone();
        if let Err(Stop::Reject(why)) = fits {
            if self.is_explained(&why) {
                return Err(Stop::Reject(why));
            }
            self.because(&why);
            return reject(GlobalReason::InvalidArgs { subprog, name });
        }
        self.verbose(format_args!("Func#{subprog} ('{name}') is global and assumed valid.\n"));
        if self.subprogs[subprog].changes_pkt_data && self.has(Feature::PacketChangesOfGlobals) {
            self.clear_all_pkt_pointers();
        }
        let context = self.has(Feature::GlobalsByContext) && !self.in_rcu_cs();
        self.subprogs[subprog].called[usize::from(context)] = true;
        for reg in 0..=5 {
            self.mark_reg_not_init(reg);
        }
        if !self.returns_nothing(subprog) {
            self.mark_reg_unknown(0);
        }
        if self.subprogs[subprog].might_throw && self.has(Feature::ThrowingGlobals) {
            // First as if it threw: the program ends here.
            let here = self.path.insn_idx;
            self.push_branch(here + 1, here, false, |_, _| {})?;
            self.check_resource_leak(true, true, "bpf_throw")?;
            self.path.threw = true;
            return Ok(());
        }
        self.path.insn_idx += 1;
        Ok(())
    }

    /// Whether the kernel explains a rejection by itself, so that the explanation stands behind its own words and not behind
    /// those of the call that it belongs to.
    pub(super) fn is_explained(&self, why: &Reason) -> bool {
        use MemoryReason as M;
        use ObjectReason as O;
        self.has(Feature::Explanations)
            && matches!(
                why,
                Reason::Call(CallReason::ArgumentKind { .. })
                    | Reason::Memory(
                        M::ModifiedPointer { .. }
                            | M::NegativeIndex { .. }
                            | M::OutsideRegion { .. }
                            | M::UnboundedAccess { .. }
                            | M::InvalidMemAccess { .. }
                    )
                    | Reason::Object(
                        O::DynptrNotOnStack { .. }
                            | O::DynptrNotUninit {}
                            | O::DynptrConst {}
                            | O::DynptrNotInit { .. }
                            | O::DynptrKind { .. }
                    )
            )
    }

    /// Holds the caller's r1 to r5 against the contract of a global function.
    fn check_global_args(&mut self, subprog: usize) -> Step {
        self.prepare_func_args(subprog)?;
        for index in 0..self.subprogs[subprog].args.len() {
            let (arg, reg) = (self.subprogs[subprog].args[index], index as u8 + 1);
            let r = *self.reg(reg);
            match arg.ty.base {
                ArgBase::Anything if !r.is_scalar() => return reject(GlobalReason::NoScalar { reg }),
                ArgBase::Anything => {}
                // What is read through an untrusted pointer is probed, wherever it points.
                _ if arg.ty.flags.contains(TypeFlags::UNTRUSTED) => {}
                ArgBase::Ctx => {
                    self.check_arg_offset(ANYWHERE, reg)?;
                    if r.ty != RegType::of(RegBase::Ctx) {
                        return reject(GlobalReason::NoContext { index });
                    }
                }
                ArgBase::Mem => {
                    self.check_arg_offset(ANYWHERE, reg)?;
                    let may_be_null = arg.ty.flags.contains(TypeFlags::MAYBE_NULL);
                    if !may_be_null && r.is_null() && self.has(Feature::NoNullForNonNull) {
                        return reject(GlobalReason::ExpectsNonNull { index });
                    }
                    if r.is_pkt() && self.subprogs[subprog].changes_pkt_data && self.has(Feature::NoPacketForChanges) {
                        return reject(GlobalReason::PacketChanges { reg });
                    }
                    self.check_sized_mem(reg, arg.mem_size)?;
                    if !arg.ty.flags.contains(TypeFlags::MAYBE_NULL) && r.ty.may_be_null() {
                        return reject(GlobalReason::ExpectsNonNull { index });
                    }
                }
                ArgBase::Arena if r.ty.base != RegBase::Arena && !r.is_scalar() => {
                    return reject(GlobalReason::NoArena { reg });
                }
                ArgBase::Arena => {}
                ArgBase::Dynptr => {
                    self.check_arg_offset(ANYWHERE, reg)?;
                    self.process_dynptr(reg, TypeFlags::RDONLY, 0)?;
                }
                ArgBase::BtfId => {
                    if r.is_null() && arg.ty.flags.contains(TypeFlags::MAYBE_NULL) {
                        continue;
                    }
                    self.check_global_btf_arg(reg, arg.btf_id, arg.ty.flags)?;
                }
                _ => return Err(Stop::unsupported("this kind of argument of a global function")),
            }
        }
        Ok(())
    }

    /// A typed pointer for a global function that trusts it.
    fn check_global_btf_arg(&mut self, reg: u8, id: u32, flags: TypeFlags) -> Step {
        let r = *self.reg(reg);
        let null_ok = flags.contains(TypeFlags::MAYBE_NULL);
        let ty = if null_ok { r.ty.flags - TypeFlags::MAYBE_NULL } else { r.ty.flags };
        let known = [TypeFlags::empty(), TypeFlags::TRUSTED, TypeFlags::RCU];
        if r.ty.base != RegBase::BtfId || !known.contains(&ty) {
            let expected = "ptr_, trusted_ptr_, rcu_ptr_".to_owned();
            return reject(CallReason::ArgumentKind { reg, ty: reg_type_str(r.ty).into_owned(), expected });
        }
        if r.ty.may_be_null() && !null_ok {
            return reject(GlobalReason::PossiblyNull { reg });
        }
        let Some((btf, own)) = r.btf() else { return Err(Stop::unsupported("a typed pointer without its type")) };
        let types = self.types_of(BtfRef::Vmlinux)?;
        if btf != BtfRef::Vmlinux || !holds_struct(&types, own, r.off, id, false, true) {
            let (has, expected) = (self.type_name(btf, own), types.name(id).to_owned());
            return reject(GlobalReason::OtherType { reg, has, expected });
        }
        self.check_arg_offset(ANYWHERE, reg)
    }

    /// Memory of a fixed size that the callee may read and write; null is fine.
    pub fn check_sized_mem(&mut self, reg: u8, size: u32) -> Step {
        let saved = *self.reg(reg);
        if saved.is_null() {
            return Ok(());
        }
        if saved.ty.may_be_null() {
            self.assume_not_null(reg);
        }
        let size = size as i32;
        let fits = self
            .check_helper_mem_access(reg, size, Access::Read, true, None)
            .and_then(|()| self.check_helper_mem_access(reg, size, Access::Write, true, None));
        if saved.ty.may_be_null() {
            *self.reg_mut(reg) = saved;
        }
        fits
    }

    /// Verifies every global function that has been called, each on its own, and those that they call.
    pub(crate) fn check_global_functions(&mut self) -> Step {
        let exception = self.exception_callback;
        let by_context = self.has(Feature::GlobalsByContext);
        let sleepable = self.prog().flags.has(ProgramFlags::SLEEPABLE);
        if exception != 0 {
            self.subprogs[exception].called[usize::from(by_context && sleepable)] = true;
        }
        let lazy = self.has(Feature::LazyGlobals);
        let functions = self.subprogs.len() - 1;
        let contexts = if by_context { 2 } else { 1 };
        let mut verified = vec![[false; 2]; functions];
        loop {
            let mut found = false;
            for (subprog, context) in (1..functions).flat_map(|s| (0..contexts).map(move |c| (s, c))) {
                let done = &mut verified[subprog][context];
                let s = &self.subprogs[subprog];
                if !s.global || lazy && !s.called[context] || *done {
                    continue;
                }
                let name = s.name.clone();
                self.start_global(subprog)?;
                if by_context {
                    self.path.state.in_sleepable = context == 1;
                }
                self.walk()?;
                if self.log_level() != 0 {
                    if self.log_level() == 1 {
                        self.observer.rewind(0);
                    }
                    self.verbose(format_args!(
                        "Func#{subprog} ('{name}') is safe for any args that match its prototype\n"
                    ));
                }
                (*done, found) = (true, true);
            }
            if !found {
                return Ok(());
            }
        }
    }

    /// Sets the state at the start of a global function, or of the main program of an extension.
    pub(crate) fn start_global(&mut self, subprog: usize) -> Step {
        let start = self.subprogs[subprog].start;
        (self.path.insn_idx, self.path.prev_insn_idx) = (start, start);
        self.path.state = VerifierState::start(subprog as u32, self.prog().flags.has(ProgramFlags::SLEEPABLE));
        self.path.state.parentage = self.first_parentage();
        self.path.state.first_insn_idx = start;
        let name = self.subprogs[subprog].name.clone();
        self.verbose(format_args!("Validating {name}() func#{subprog}...\n"));
        self.prepare_func_args(subprog)?;
        if self.subprogs[subprog].is_exception_cb {
            self.path.state.cur_mut().in_exception_callback = true;
            if self.returns_nothing(subprog) {
                return reject(ProgramReason::ExceptionCbVoid {});
            }
            let args = &self.subprogs[subprog].args;
            if args.len() != 1 || args[0].ty.base != ArgBase::Anything {
                return reject(ProgramReason::ExceptionCbArgs {});
            }
        }
        for index in 0..self.subprogs[subprog].args.len() {
            let arg = self.subprogs[subprog].args[index];
            let flags = arg.ty.flags;
            let reg = match arg.ty.base {
                ArgBase::Ctx => RegState::pointer(RegType::of(RegBase::Ctx), RegExtra::None),
                ArgBase::Dynptr => {
                    let id = self.new_id();
                    dynptr_reg(DynptrKind::Local, true, id)
                }
                ArgBase::Mem => {
                    let id = if flags.contains(TypeFlags::MAYBE_NULL) { self.new_id() } else { 0 };
                    let extra = RegExtra::Mem { size: arg.mem_size, dynptr_id: 0 };
                    RegState { id, ..RegState::pointer(RegType::with(RegBase::Mem, flags), extra) }
                }
                ArgBase::BtfId => {
                    let id = self.new_id();
                    RegState { id, ..btf_reg(BtfRef::Vmlinux, arg.btf_id, flags) }
                }
                _ => self.unknown_scalar(),
            };
            *self.reg_mut(index as u8 + 1) = reg;
        }
        Ok(())
    }
}
