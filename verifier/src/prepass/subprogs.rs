//! Finding the functions of a program, and that no jump leaves its function.

use crate::program::SubprogInfo;
use crate::reason::ProgramReason;
use crate::{Env, Step, reason::reject};
use ebpfkit_abi::Feature;
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::limits::MAX_FUNCTIONS;
use ebpfkit_isa::opcode::{self, class, mode};
use ebpfkit_object::btf::{EXCEPTION_CALLBACK_TAG, Kind, Type};
use std::collections::BTreeSet;

impl Env<'_> {
    /// Collects the first slot of every function, and the kernel functions that are called.
    pub(super) fn find_subprogs(&mut self) -> Step {
        let mut starts: BTreeSet<usize> = [0].into();
        for at in 0..self.insns().len() {
            let insn = self.insns()[at];
            let by_address = insn.is_func_address();
            let function = insn.function(at).filter(|_| !by_address || self.has(Feature::FunctionPointers));
            if function.is_none() && !insn.is_kfunc_call() {
                continue;
            }
            if !self.bpf_capable() {
                return reject(ProgramReason::CallsNeedCapability {});
            }
            if let Some(target) = function {
                let target = usize::try_from(target).ok().filter(|&t| t < self.insns().len());
                let Some(target) = target else { return reject(ProgramReason::InvalidCallTarget {}) };
                starts.insert(target);
                if starts.len() > MAX_FUNCTIONS {
                    return reject(ProgramReason::TooManySubprogs {});
                }
            } else if self.has(Feature::KernelFunctions) {
                self.add_kfunc_call(insn.imm as u32, insn.off)?;
            }
        }
        if let Some(start) = self.exception_callback_start()? {
            starts.insert(start);
            self.exception_callback = starts.iter().position(|&s| s == start).unwrap_or(0);
        }
        let end = self.insns().len();
        self.subprogs =
            starts.into_iter().chain([end]).map(|start| SubprogInfo { start, ..SubprogInfo::default() }).collect();
        let exception = self.exception_callback;
        if exception != 0 {
            let s = &mut self.subprogs[exception];
            (s.is_cb, s.is_async_cb, s.is_exception_cb) = (true, true, true);
        }
        if self.log_level() > 1 {
            for i in 0..self.subprogs.len() - 1 {
                let start = self.subprogs[i].start;
                self.verbose(format_args!("func#{i} @{start}\n"));
            }
        }
        Ok(())
    }

    /// First slot of the function that the main function's `exception_callback:` tag names.
    fn exception_callback_start(&self) -> Step<Option<usize>> {
        let (Some(btf), Some(main)) = (self.btf(), self.prog().func_info.first()) else { return Ok(None) };
        let mut tags = btf.decl_tags(main.type_id, -1).filter_map(|t| t.strip_prefix(EXCEPTION_CALLBACK_TAG));
        let Some(name) = tags.next() else { return Ok(None) };
        if tags.next().is_some() {
            return reject(ProgramReason::SecondExceptionCb {});
        }
        let Some(id) = btf.find(name, Kind::Func) else {
            return reject(ProgramReason::ExceptionCbMissing { name: name.to_owned() });
        };
        if !matches!(btf.get(id), Some(Type::Func { linkage: 1, .. })) {
            return reject(ProgramReason::ExceptionCbStatic { name: name.to_owned() });
        }
        match self.prog().func_info.iter().find(|f| f.type_id == id) {
            Some(f) if f.insn != 0 => Ok(Some(f.insn as usize)),
            Some(_) => reject(ProgramReason::ExceptionCbMain {}),
            None => reject(ProgramReason::ExceptionCbUnlisted {}),
        }
    }

    /// Checks that jumps stay inside their function and that no function runs past its end.
    pub(super) fn check_subprogs(&mut self) -> Step {
        for s in 0..self.subprogs.len() - 1 {
            let (start, end) = (self.subprogs[s].start, self.subprog_end(s));
            for at in start..end {
                let insn = self.insns()[at];
                let info = &mut self.subprogs[s];
                info.has_ld_abs |= insn.class() == class::LD && matches!(insn.mode(), mode::ABS | mode::IND);
                info.has_tail_call |= insn.is_helper_call(id::TAIL_CALL);
                if let Some(target) = insn.successors(at).jump
                    && (target < start as i64 || target >= end as i64)
                {
                    return reject(ProgramReason::JumpOutOfRange { insn: at, target });
                }
            }
            let last = self.insns()[end - 1].code;
            let jumps_on = last == opcode::GOTOX && self.has(Feature::IndirectJumps);
            if last != opcode::EXIT && last != opcode::JA && last != opcode::JA32 && !jumps_on {
                return reject(ProgramReason::LastInsnNotExit {});
            }
        }
        Ok(())
    }
}
