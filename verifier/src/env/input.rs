//! What is fixed while a program is verified.

use crate::domain::Numbers;
use crate::kernel_model::KernelModel;
use crate::observer::Observer;
use crate::options::Options;
use ebpfkit_isa::Insn;
use ebpfkit_object::{Btf, Object, Program, ProgramFlags};
use std::cell::OnceCell;
use std::sync::Arc;

/// The program, who loads it, and the kernel it is for.
pub(crate) struct Input<'a> {
    pub(super) kernel: &'a KernelModel,
    pub(super) object: &'a Object,
    pub(super) prog: &'a Program,
    pub(super) insns: &'a [Insn],
    /// Holds the instructions where the verification has replaced them.
    pub(super) replaced: &'a OnceCell<Vec<Insn>>,
    pub(super) options: Options,
    pub(super) btf: Option<&'a Arc<Btf>>,
    pub(super) strict_alignment: bool,
    pub(super) log_level: u8,
    pub(super) wants_events: bool,
    pub(super) numbers: Numbers,
    pub(super) wants_comparisons: bool,
}

impl<'a> Input<'a> {
    /// A program of an object, as the user of `options` loads it.
    pub(crate) fn new(
        kernel: &'a KernelModel,
        object: &'a Object,
        prog: &'a Program,
        options: Options,
        observer: &dyn Observer,
        replaced: &'a OnceCell<Vec<Insn>>,
    ) -> Self {
        // Types are loaded with CAP_BPF only; loaders go on without them.
        let with_types = object.types_refused.is_none() && (options.privileged || options.cap_bpf);
        Self {
            kernel,
            object,
            prog,
            insns: &prog.insns,
            replaced,
            options,
            btf: object.btf.as_ref().filter(|_| with_types),
            strict_alignment: options.strict_alignment || prog.flags.has(ProgramFlags::STRICT_ALIGNMENT),
            log_level: observer.log_level() & 3,
            wants_events: observer.wants_events(),
            numbers: Numbers::of(&kernel.features),
            wants_comparisons: observer.wants_comparisons(),
        }
    }

    #[inline]
    pub(super) fn insns(&self) -> &'a [Insn] {
        self.insns
    }
}
