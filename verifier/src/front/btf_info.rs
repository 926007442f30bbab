//! The records that tie functions to their BTF types.

use crate::reason::FrontReason;
use crate::{Env, Step, reason::reject};
use ebpfkit_object::btf::{Kind, Type};

/// `BTF_FUNC_GLOBAL`
const LINKAGE_GLOBAL: u16 = 1;

impl Env<'_> {
    /// Checks the function records and takes names and linkage from them.
    pub(super) fn check_btf_info(&mut self) -> Step {
        let functions = self.subprogs.len() - 1;
        let Some(btf) = self.btf.clone().filter(|_| !self.prog.func_info.is_empty()) else {
            return self.check_untyped_subprogs(functions);
        };
        if self.prog.func_info.len() != functions {
            return reject(FrontReason::FuncInfoCount {});
        }
        for (i, record) in self.prog.func_info.iter().enumerate() {
            let s = &mut self.subprogs[i];
            if record.insn as usize != s.start {
                return reject(FrontReason::FuncInfoLayout {});
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
                    return reject(FrontReason::LdAbsReturnsNoInt {});
                }
                if i != 0 && !returns_number && s.has_tail_call {
                    return reject(FrontReason::TailCallReturnsNoInt {});
                }
            }
        }
        Ok(())
    }

    /// Functions of unknown type may not end the program early.
    fn check_untyped_subprogs(&self, functions: usize) -> Step {
        for s in &self.subprogs[1..functions.max(1)] {
            if s.has_ld_abs {
                return reject(FrontReason::LdAbsWithoutBtf {});
            }
            if s.has_tail_call {
                return reject(FrontReason::TailCallWithoutBtf {});
            }
        }
        Ok(())
    }
}
