//! Finding the functions of a program, and that no jump leaves its function.

use crate::env::SubprogInfo;
use crate::reason::FrontReason;
use crate::{Env, Step, reason::reject};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::limits::MAX_FUNCTIONS;
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, class, jmp, mode, pseudo};
use ebpfkit_object::btf::{Kind, Type};
use std::collections::BTreeSet;

/// A call of a function of the same program.
pub(crate) fn is_local_call(insn: Insn) -> bool {
    insn.code == opcode::CALL && insn.src == pseudo::CALL
}

/// A call of the helper of a number.
pub(crate) fn is_helper_call(insn: Insn, id: u32) -> bool {
    insn.code == opcode::CALL && insn.src == 0 && insn.imm == id as i32
}

/// A call of a kernel function.
pub(crate) fn is_kfunc_call(insn: Insn) -> bool {
    insn.code == opcode::CALL && insn.src == pseudo::KFUNC_CALL
}

/// A load of a function's address.
pub(crate) fn is_func_address(insn: Insn) -> bool {
    insn.is_ld_imm64() && insn.src == pseudo::FUNC
}

/// Target of a call or function address at `at`.
pub(crate) fn call_target(insn: Insn, at: usize) -> i64 {
    at as i64 + i64::from(insn.imm) + 1
}

/// Distance of a jump, from the next instruction.
pub(crate) fn jump_distance(insn: Insn) -> i64 {
    if insn.code == opcode::JA32 { insn.imm.into() } else { insn.off.into() }
}

impl Env<'_> {
    /// Collects the first slot of every function, and the kernel functions that are called.
    pub(super) fn find_subprogs(&mut self) -> Step {
        let mut starts: BTreeSet<usize> = [0].into();
        for at in 0..self.insns.len() {
            let insn = self.insns[at];
            let local = is_local_call(insn) || is_func_address(insn);
            if !local && !is_kfunc_call(insn) {
                continue;
            }
            if !self.bpf_capable() {
                return reject(FrontReason::CallsNeedCapability {});
            }
            if local {
                let target = usize::try_from(call_target(insn, at)).ok().filter(|&t| t < self.insns.len());
                let Some(target) = target else { return reject(FrontReason::InvalidCallTarget {}) };
                starts.insert(target);
                if starts.len() > MAX_FUNCTIONS {
                    return reject(FrontReason::TooManySubprogs {});
                }
            } else {
                self.add_kfunc_call(insn.imm as u32, insn.off)?;
            }
        }
        if let Some(start) = self.exception_callback_start()? {
            starts.insert(start);
            self.exception_callback = starts.iter().position(|&s| s == start).unwrap_or(0);
        }
        let end = self.insns.len();
        self.subprogs =
            starts.into_iter().chain([end]).map(|start| SubprogInfo { start, ..SubprogInfo::default() }).collect();
        let exception = self.exception_callback;
        if exception != 0 {
            let s = &mut self.subprogs[exception];
            (s.is_cb, s.is_async_cb, s.is_exception_cb) = (true, true, true);
        }
        if self.log_level > 1 {
            for i in 0..self.subprogs.len() - 1 {
                let start = self.subprogs[i].start;
                self.verbose(format_args!("func#{i} @{start}\n"));
            }
        }
        Ok(())
    }

    /// First slot of the function that the main function's `exception_callback:` tag names.
    fn exception_callback_start(&self) -> Step<Option<usize>> {
        let (Some(btf), Some(main)) = (self.btf.as_deref(), self.prog.func_info.first()) else { return Ok(None) };
        let mut tags = btf.decl_tags(main.type_id, -1).filter_map(|t| t.strip_prefix("exception_callback:"));
        let Some(name) = tags.next() else { return Ok(None) };
        if tags.next().is_some() {
            return reject(FrontReason::ExceptionCbTwice {});
        }
        let Some(id) = btf.find(name, Kind::Func) else {
            return reject(FrontReason::ExceptionCbMissing { name: name.to_owned() });
        };
        if !matches!(btf.get(id), Some(Type::Func { linkage: 1, .. })) {
            return reject(FrontReason::ExceptionCbStatic { name: name.to_owned() });
        }
        match self.prog.func_info.iter().find(|f| f.type_id == id) {
            Some(f) if f.insn != 0 => Ok(Some(f.insn as usize)),
            Some(_) => reject(FrontReason::ExceptionCbMain {}),
            None => reject(FrontReason::ExceptionCbUnlisted {}),
        }
    }

    /// Checks that jumps stay inside their function and that no function runs past its end.
    pub(super) fn check_subprogs(&mut self) -> Step {
        for s in 0..self.subprogs.len() - 1 {
            let (start, end) = (self.subprogs[s].start, self.subprog_end(s));
            for at in start..end {
                let insn = self.insns[at];
                let info = &mut self.subprogs[s];
                match insn.class() {
                    class::LD if matches!(insn.mode(), mode::ABS | mode::IND) => info.has_ld_abs = true,
                    class::JMP | class::JMP32 if is_helper_call(insn, id::TAIL_CALL) => info.has_tail_call = true,
                    class::JMP | class::JMP32 if insn.op() != jmp::EXIT => {
                        let target = at as i64 + jump_distance(insn) + 1;
                        if target < start as i64 || target >= end as i64 {
                            return reject(FrontReason::JumpOutOfRange { insn: at, target });
                        }
                    }
                    _ => {}
                }
            }
            let last = self.insns[end - 1].code;
            if last != opcode::EXIT && last != opcode::JA && last != opcode::JA32 {
                return reject(FrontReason::LastInsnNotExit {});
            }
        }
        Ok(())
    }
}
