//! What the front passes need to know of a call before it is verified.

use crate::Env;
use crate::tables::kfuncs::Desc;
use ebpfkit_abi::HelperFlags;
use ebpfkit_abi::kfuncs::{KfuncFlags, name};
use ebpfkit_isa::Insn;

/// Effects of a call that its caller inherits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallEffects {
    /// Invalidates packet pointers.
    pub changes_pkt_data: bool,
    /// May sleep.
    pub might_sleep: bool,
    /// Throws.
    pub might_throw: bool,
}

impl Env<'_> {
    /// Whether a call registers a callback that runs later.
    pub(super) fn is_async_callback_call(&self, insn: Insn) -> bool {
        let later = |d: &Desc| d.is(&[name::WQ_SET_CALLBACK_IMPL]) || d.name.starts_with("bpf_task_work_schedule_");
        self.helper_callback(insn) == Some(false) || self.kfunc_of(insn).is_some_and(|d| later(&d))
    }

    /// What a helper does to its caller.
    pub(super) fn call_effects(&self, insn: Insn) -> CallEffects {
        if let Some(desc) = self.allowed_kfunc_of(insn) {
            let changes_pkt_data = desc.name == name::XDP_PULL_DATA;
            let might_throw = desc.is(&[name::THROW]);
            return CallEffects { changes_pkt_data, might_sleep: desc.has(KfuncFlags::SLEEPABLE), might_throw };
        }
        let Ok((_, proto)) = self.helper_prototype(if insn.src == 0 { insn.imm } else { -1 }) else {
            return CallEffects::default();
        };
        CallEffects {
            changes_pkt_data: proto.flags.contains(HelperFlags::CHANGES_PKT_DATA),
            might_sleep: proto.flags.contains(HelperFlags::MIGHT_SLEEP),
            might_throw: false,
        }
    }

    /// How many arguments a helper or kfunc takes; `None` when its prototype is not known.
    pub(super) fn call_param_count(&self, insn: Insn) -> Option<u32> {
        if let Some(desc) = self.allowed_kfunc_of(insn) {
            return Some(desc.params.len() as u32);
        }
        let (_, proto) = self.helper_prototype(if insn.src == 0 { insn.imm } else { -1 }).ok()?;
        Some(proto.arg_count() as u32)
    }
}
