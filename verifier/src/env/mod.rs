//! Everything one verification works with (`struct bpf_verifier_env`).

mod live_stack;

use crate::domain::RegState;
use crate::kernel_model::KernelModel;
use crate::liveness::Liveness;
use crate::observer::Observer;
use crate::options::Options;
use crate::program::{AttachInfo, InsnAux, SubprogInfo, UsedMap};
use crate::state::VerifierState;
use crate::tables::kfuncs::Kfuncs;
use crate::tables::{Trace, Types, Walk};
use ebpfkit_isa::Insn;
use ebpfkit_object::{Btf, Object, Program};
use std::cell::Cell;
use std::sync::Arc;

/// What the accesses to a context take for granted.
#[derive(Clone, Debug, Default)]
pub struct CtxUse {
    /// Bytes that are accessed, from the start (`max_ctx_offset`).
    pub bytes: u32,
    /// Pointers to kernel structs that were loaded: byte offset and type; zero for a buffer.
    pub arguments: Vec<(u32, ebpfkit_object::btf::TypeId)>,
    /// Bytes of the buffer that are accessed.
    pub buffer_bytes: u32,
}

/// One verification at work.
pub struct Env<'a> {
    /// The modelled kernel.
    pub kernel: &'a KernelModel,
    /// The object.
    pub object: &'a Object,
    /// The program.
    pub prog: &'a Program,
    /// Privileges.
    pub options: Options,
    /// The program's own types.
    pub btf: Option<Arc<Btf>>,
    /// Receives log text and events.
    pub observer: &'a mut dyn Observer,
    /// Level of the kernel log that is wanted.
    pub log_level: u8,
    /// The observer wants events.
    pub wants_events: bool,

    /// Instructions.
    pub insns: Vec<Insn>,
    /// By instruction.
    pub aux: Vec<InsnAux>,
    /// Subprograms by first slot; the last entry is a sentinel at the end.
    pub subprogs: Vec<SubprogInfo>,
    /// Maps in use.
    pub maps: Vec<UsedMap>,
    /// Instructions of each subprogram in postorder.
    pub postorder: Vec<usize>,
    /// Subprogram that handles exceptions; zero for none.
    pub exception_callback: usize,

    /// State of the path being walked.
    pub cur: VerifierState,
    /// Slot being verified.
    pub insn_idx: usize,
    /// Slot verified before.
    pub prev_insn_idx: usize,
    /// Next identity.
    pub id_gen: u32,
    /// Subprogram whose verification started this walk (0, a global function or a callback).
    pub subprog: usize,
    /// The walk's own tables.
    pub walk: Walk,
    /// Which stack slots may still be read.
    pub liveness: Liveness,
    /// What the log has shown so far.
    pub trace: Trace,
    /// Kernel functions that have been looked up.
    pub kfuncs: Kfuncs,
    /// The call just verified ended the path by an exception.
    pub threw: bool,
    /// What has been found out about types.
    pub types: Types,
    /// A load passed that the kernel cannot translate.
    pub untranslatable: bool,
    /// What the accesses to the context take for granted.
    pub ctx_use: CtxUse,
    /// What the program attaches to.
    pub attach: AttachInfo,
    /// Accesses must be aligned.
    pub strict_alignment: bool,
    /// Instructions processed.
    pub insn_processed: u64,
    /// [`Options::sound`] has made a difference, or may have.
    pub soundness_mattered: Cell<bool>,
}

impl Env<'_> {
    /// A fresh identity.
    pub fn new_id(&mut self) -> u32 {
        self.id_gen += 1;
        self.id_gen
    }

    /// Writes to the kernel log when one is wanted. A message that ends verification goes through
    /// [`crate::reason`] instead; this is for lines before it.
    #[inline]
    pub fn verbose(&mut self, text: std::fmt::Arguments<'_>) {
        if self.log_level != 0 {
            self.observer.text(text);
        }
    }

    /// The instruction being verified.
    pub fn insn(&self) -> Insn {
        self.insns[self.insn_idx]
    }

    /// A register of the current frame.
    pub fn reg(&self, r: u8) -> &RegState {
        self.cur.reg(r)
    }

    /// A register of the current frame, for writing.
    pub fn reg_mut(&mut self, r: u8) -> &mut RegState {
        self.cur.reg_mut(r)
    }

    /// Whether pointers may leak to the user and be compared (`allow_ptr_leaks`; `CAP_PERFMON`).
    pub fn allow_ptr_leaks(&self) -> bool {
        self.options.privileged
    }

    /// Whether uninitialised stack may be read (`allow_uninit_stack`).
    pub fn allow_uninit_stack(&self) -> bool {
        self.options.privileged
    }

    /// Whether CPU speculation needs no care (`bypass_spec_v1`, `bypass_spec_v4`).
    pub fn bypass_spec(&self) -> bool {
        self.options.privileged
    }

    /// Whether the program's license is one that the kernel takes for compatible with the GPL.
    pub fn is_gpl_compatible(&self) -> bool {
        const COMPATIBLE: [&str; 6] =
            ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];
        COMPATIBLE.contains(&self.object.license.as_str())
    }

    /// Whether the program runs with `CAP_BPF` (`bpf_capable`).
    pub fn bpf_capable(&self) -> bool {
        self.options.privileged || self.options.cap_bpf
    }

    /// Subprogram that contains a slot.
    pub fn subprog_at(&self, insn: usize) -> usize {
        let n = self.subprogs.len().saturating_sub(1);
        self.subprogs[..n].partition_point(|s| s.start <= insn).saturating_sub(1)
    }

    /// Subprogram that starts at a slot.
    pub fn find_subprog(&self, insn: usize) -> Option<usize> {
        let n = self.subprogs.len().saturating_sub(1);
        self.subprogs[..n].binary_search_by_key(&insn, |s| s.start).ok()
    }

    /// One past the last slot of a subprogram.
    pub fn subprog_end(&self, subprog: usize) -> usize {
        self.subprogs.get(subprog + 1).map_or(self.insns.len(), |s| s.start)
    }
}
