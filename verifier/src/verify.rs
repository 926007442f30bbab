//! The one way in: a program, a kernel, an answer.

use crate::{KernelModel, Observer, Options, Report, Verdict};
use ebpfkit_object::Object;

/// Decides whether `kernel` would load program number `program` of a prepared object.
///
/// The observer sees the walk; pass [`crate::observer::Silent`] for none.
pub fn verify(
    kernel: &KernelModel,
    object: &Object,
    program: usize,
    options: Options,
    observer: &mut dyn Observer,
) -> Report {
    let _ = (kernel, object, program, options, observer);
    Report {
        verdict: Verdict::Unsupported { what: "verification".into(), at: 0 },
        insns_processed: 0,
        total_states: 0,
        peak_states: 0,
        max_states_per_insn: 0,
        stack_depths: Vec::new(),
    }
}
