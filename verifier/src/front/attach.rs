//! Attach points: what kinds of programs may sleep, and what they attach to.

use crate::reason::FrontReason;
use crate::{Env, Step, Stop, reason::reject};
use ebpfkit_abi::{AttachType, ProgType};
use ebpfkit_object::ProgramFlags;
use ebpfkit_object::btf::TypeId;

/// What a program attaches to.
#[derive(Clone, Debug, Default)]
pub struct AttachInfo {
    /// Prototype of the function, in the kernel's types; zero when it has none.
    pub proto: TypeId,
    /// Name of the function, or of the struct_ops member.
    pub name: String,
    /// Struct of operations that a struct_ops program implements a part of; empty for other programs.
    pub struct_ops: String,
}

impl Env<'_> {
    /// Struct of operations that a struct_ops program implements a part of; empty for other programs.
    pub fn struct_ops_name(&self) -> &str {
        &self.front.attach.struct_ops
    }

    /// Checks the attach point as far as the program alone decides it.
    pub(super) fn check_attach_point(&mut self) -> Step {
        let (kind, attach) = (self.prog.prog_type, self.prog.attach_type);
        let sleepable = self.prog.flags.has(ProgramFlags::SLEEPABLE);
        if kind == ProgType::Syscall {
            return if sleepable {
                Ok(())
            } else {
                Err(Stop::unsupported("syscall programs that are not marked sleepable"))
            };
        }
        let may_sleep = matches!(kind, ProgType::Lsm | ProgType::Kprobe | ProgType::StructOps)
            || kind == ProgType::Tracing
                && matches!(
                    attach,
                    AttachType::TraceFentry | AttachType::TraceFexit | AttachType::ModifyReturn | AttachType::TraceIter
                );
        if sleepable && !may_sleep {
            return reject(FrontReason::NotSleepable {});
        }
        match kind {
            ProgType::Tracing | ProgType::Lsm | ProgType::Ext if self.prog.attach_btf_id == 0 => {
                reject(FrontReason::MissingAttachBtf {})
            }
            ProgType::Tracing if matches!(attach, AttachType::TraceRawTp | AttachType::TraceIter) => Ok(()),
            ProgType::Tracing | ProgType::Lsm | ProgType::Ext => {
                Err(Stop::unsupported(format!("{kind} programs attached as {attach}")))
            }
            ProgType::StructOps => Err(Stop::unsupported("struct_ops programs")),
            _ => Ok(()),
        }
    }
}
