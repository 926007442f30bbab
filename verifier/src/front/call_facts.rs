//! What the front passes need to know of a call before it is verified.

use crate::Env;
use ebpfkit_isa::Insn;

/// Numbers of helpers that take an asynchronous callback (`bpf_timer_set_callback`).
const ASYNC_CALLBACK_HELPERS: &[i32] = &[170];

/// Effects of a call that its caller inherits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallEffects {
    /// Invalidates packet pointers.
    pub changes_pkt_data: bool,
    /// May sleep.
    pub might_sleep: bool,
}

impl Env<'_> {
    /// Whether a call registers a callback that runs later.
    pub(super) fn is_async_callback_call(&self, insn: Insn) -> bool {
        insn.src == 0 && ASYNC_CALLBACK_HELPERS.contains(&insn.imm)
    }

    /// What a helper does to its caller.
    pub(super) fn call_effects(&self, insn: Insn) -> CallEffects {
        let _ = insn;
        CallEffects::default()
    }

    /// How many arguments a helper or kfunc takes; `None` when its prototype is not known.
    pub(super) fn call_param_count(&self, insn: Insn) -> Option<u32> {
        let _ = insn;
        None
    }
}
