//! The records that tie functions to their BTF types, and instructions to source lines.

use crate::reason::ProgramReason;
use crate::{Env, Step, reason::reject};
use ebpfkit_object::btf::{Kind, Type};

/// `BTF_FUNC_GLOBAL`
const LINKAGE_GLOBAL: u16 = 1;

impl Env<'_> {
    /// Whether the program comes with records of its functions, and their types are loaded.
    pub(crate) fn has_func_info(&self) -> bool {
        self.btf().is_some() && !self.prog().func_info.is_empty()
    }

    /// Checks the function records by themselves.
    pub(super) fn check_func_records(&mut self) -> Step {
        let Some(btf) = &self.btf() else { return Ok(()) };
        let mut before = None;
        for record in &self.prog().func_info {
            let at = record.insn;
            match before {
                None if at != 0 => return reject(ProgramReason::FuncInfoFirst { at }),
                Some(before) if at <= before => return reject(ProgramReason::FuncInfoOrder { at, before }),
                _ => {}
            }
            if btf.kind(record.type_id) != Some(Kind::Func) {
                return reject(ProgramReason::FuncInfoType { id: record.type_id });
            }
            before = Some(at);
        }
        Ok(())
    }

    /// Checks the records of source lines: in order, each at an instruction, and one for the start of every function.
    pub(super) fn check_line_records(&self) -> Step {
        let Some(btf) = self.btf().filter(|_| !self.prog().line_info.is_empty()) else { return Ok(()) };
        let (functions, len) = (self.subprogs.len() - 1, self.insns().len());
        let (mut before, mut subprog) = (0, 0);
        for (index, record) in self.prog().line_info.iter().enumerate() {
            let (at, slot) = (record.insn, record.insn as usize);
            let Some(insn) = self.insns().get(slot).filter(|_| index == 0 || at > before) else {
                return reject(ProgramReason::LineInfoOffset { index, at, before, len });
            };
            if insn.code == 0 {
                return reject(ProgramReason::LineInfoInsn { index });
            }
            if !btf.has_string(record.line_text) || !btf.has_string(record.file_name) {
                return reject(ProgramReason::LineInfoText { index });
            }
            if subprog < functions {
                let start = self.subprogs[subprog].start;
                if slot == start {
                    subprog += 1;
                } else if start < slot {
                    return reject(ProgramReason::LineInfoMissing { subprog });
                }
            }
            before = at;
        }
        if subprog < functions {
            return reject(ProgramReason::LineInfoEnds { count: functions - subprog, subprog });
        }
        Ok(())
    }

    /// Checks the function records and takes names and linkage from them.
    pub(super) fn check_btf_info(&mut self) -> Step {
        let functions = self.subprogs.len() - 1;
        let Some(btf) = self.btf().filter(|_| !self.prog().func_info.is_empty()) else {
            return self.check_untyped_subprogs(functions);
        };
        if self.prog().func_info.len() != functions {
            return reject(ProgramReason::FuncInfoCount {});
        }
        for (i, record) in self.prog().func_info.iter().enumerate() {
            let s = &mut self.subprogs[i];
            if record.insn as usize != s.start {
                return reject(ProgramReason::FuncInfoLayout {});
            }
            s.name = btf.name(record.type_id).to_owned();
            s.func_id = record.type_id;
            if let Some(Type::Func { proto, linkage }) = btf.get(record.type_id) {
                s.global = linkage == LINKAGE_GLOBAL;
                let returns_number = match btf.get(proto) {
                    Some(Type::FuncProto { ret, .. }) => {
                        matches!(btf.kind(btf.resolve(ret)), Some(Kind::Int | Kind::Enum | Kind::Enum64))
                    }
                    _ => false,
                };
                if i != 0 && !returns_number && s.has_ld_abs {
                    return reject(ProgramReason::LdAbsReturnsNoInt {});
                }
                if i != 0 && !returns_number && s.has_tail_call {
                    return reject(ProgramReason::TailCallReturnsNoInt {});
                }
            }
        }
        Ok(())
    }

    /// Functions of unknown type may not end the program early.
    fn check_untyped_subprogs(&self, functions: usize) -> Step {
        for s in &self.subprogs[1..functions.max(1)] {
            if s.has_ld_abs {
                return reject(ProgramReason::LdAbsWithoutBtf {});
            }
            if s.has_tail_call {
                return reject(ProgramReason::TailCallWithoutBtf {});
            }
        }
        Ok(())
    }
}
