//! Everything one verification works with (`struct bpf_verifier_env`).

mod input;
mod live_stack;
mod path;
mod reads;

pub(crate) use input::Input;
pub(crate) use path::Path;

use crate::domain::{Numbers, RegBase, RegState, RegType, Tnum, reg_type_str};
use crate::kernel_model::KernelModel;
use crate::observer::{Event, Observer};
use crate::options::Options;
use crate::program::{AttachInfo, CtxUse, InsnAux, SubprogInfo, UsedMap};
use crate::reason::Reason;
use crate::tables::Tables;
use ebpfkit_abi::limits::{MAX_CALL_FRAMES, MAX_LONG_CALL_FRAMES};
use ebpfkit_abi::{Feature, TypeFlags};
use ebpfkit_isa::Insn;
use ebpfkit_object::{Btf, Object, Program};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

/// One verification at work: what is fixed for a program, what is known of it, the path being walked, and what all paths
/// have shown.
pub(crate) struct Env<'a> {
    input: Input<'a>,
    /// Receives log text and events.
    pub(crate) observer: &'a mut dyn Observer,

    /// By instruction.
    pub(crate) aux: Vec<InsnAux>,
    /// Subprograms by first slot; the last entry is a sentinel at the end.
    pub(crate) subprogs: Vec<SubprogInfo>,
    /// Maps in use.
    pub(crate) maps: Vec<UsedMap<'a>>,
    /// Instructions of each subprogram in postorder.
    pub(crate) postorder: Vec<usize>,
    /// By indirect jump: the instructions that it may lead to, ascending.
    pub(crate) jump_tables: FxHashMap<usize, Box<[usize]>>,
    /// Subprogram that handles exceptions; zero for none.
    pub(crate) exception_callback: usize,
    /// A load passed that the kernel cannot translate.
    pub(crate) untranslatable: bool,
    /// What the accesses to the context take for granted.
    pub(crate) ctx_use: CtxUse,
    /// What the program attaches to.
    pub(crate) attach: AttachInfo,

    /// The path being walked.
    pub(crate) path: Path,
    /// What all paths have shown so far.
    pub(crate) tables: Tables,
    /// Instructions processed.
    pub(crate) insn_processed: u64,
    /// [`Options::sound`] has made a difference, or may have.
    pub(crate) soundness_mattered: Cell<bool>,
}

impl<'a> Env<'a> {
    /// Before the first pass.
    pub(crate) fn new(input: Input<'a>, observer: &'a mut dyn Observer) -> Self {
        Self {
            aux: vec![InsnAux::default(); input.insns().len()],
            input,
            observer,
            subprogs: Vec::new(),
            maps: Vec::new(),
            postorder: Vec::new(),
            jump_tables: FxHashMap::default(),
            exception_callback: 0,
            untranslatable: false,
            ctx_use: CtxUse::default(),
            attach: AttachInfo::default(),
            path: Path::default(),
            tables: Tables::default(),
            insn_processed: 0,
            soundness_mattered: Cell::default(),
        }
    }

    /// The modelled kernel.
    pub(crate) fn kernel(&self) -> &'a KernelModel {
        self.input.kernel
    }

    /// Whether the modelled kernel behaves in this way.
    #[inline]
    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.input.kernel.has(feature)
    }

    /// Whether a rule counts that kernels came to have late: because the modelled one has it, or because the verification
    /// is to be sound, which is then noted to have mattered.
    pub(crate) fn sees(&self, feature: Feature) -> bool {
        if self.has(feature) {
            return true;
        }
        let sound = self.input.options.sound;
        if sound {
            self.soundness_mattered.set(true);
        }
        sound
    }

    /// How the modelled kernel reckons with numbers.
    #[inline]
    pub(crate) fn numbers(&self) -> Numbers {
        self.input.numbers
    }

    /// Modifiers without those of trust, where the modelled kernel does not tell trusted pointers from others.
    pub(crate) fn known_trust(&self, flags: TypeFlags) -> TypeFlags {
        if self.has(Feature::TrustedPointers) { flags } else { flags - (TypeFlags::TRUSTED | TypeFlags::RCU) }
    }

    /// Frames that a chain of calls may have.
    pub(crate) fn max_call_frames(&self) -> usize {
        if self.has(Feature::LongCallChains) { MAX_LONG_CALL_FRAMES } else { MAX_CALL_FRAMES }
    }

    /// Known bits as the modelled kernel's messages show them.
    pub(crate) fn bits(&self, bits: Tnum) -> String {
        if self.has(Feature::ConstantsAsNumbers) { bits.to_string() } else { format!("{bits:#}") }
    }

    /// Name of a kind in the modelled kernel's messages.
    pub(crate) fn kind_name(&self, ty: RegType) -> Cow<'static, str> {
        let name = reg_type_str(ty);
        if !self.has(Feature::NumbersAsScalars) {
            return match ty.base {
                RegBase::Scalar => "inv".into(),
                RegBase::Buf if !ty.has(TypeFlags::RDONLY) => name.replace("buf", "rdwr_buf").into(),
                _ => name.replace("ringbuf_", "").into(),
            };
        }
        if ty.has(TypeFlags::RINGBUF) && !self.has(Feature::RingbufMemory) {
            return name.replace("ringbuf_", "alloc_").into();
        }
        name
    }

    /// The object.
    pub(crate) fn object(&self) -> &'a Object {
        self.input.object
    }

    /// The program.
    pub(crate) fn prog(&self) -> &'a Program {
        self.input.prog
    }

    /// Its instructions.
    #[inline]
    pub(crate) fn insns(&self) -> &'a [Insn] {
        self.input.insns()
    }

    /// Goes on with other instructions, once; each stands for the one that was there.
    pub(crate) fn replace_insns(&mut self, insns: Vec<Insn>) {
        self.input.insns = self.input.replaced.get_or_init(|| insns);
    }

    /// Its own types.
    pub(crate) fn btf(&self) -> Option<&'a Btf> {
        self.input.btf.map(|types| &**types)
    }

    /// The same, to keep.
    pub(crate) fn shared_btf(&self) -> Option<Arc<Btf>> {
        self.input.btf.cloned()
    }

    /// Privileges.
    pub(crate) fn options(&self) -> &Options {
        &self.input.options
    }

    /// Accesses must be aligned.
    pub(crate) fn strict_alignment(&self) -> bool {
        self.input.strict_alignment
    }

    /// Level of the kernel log that the observer takes.
    #[inline]
    pub(crate) fn log_level(&self) -> u8 {
        self.input.log_level
    }

    /// The observer takes events.
    #[inline]
    pub(crate) fn wants_events(&self) -> bool {
        self.input.wants_events
    }

    /// The observer wants to know how states are saved and compared.
    #[inline]
    pub(crate) fn wants_comparisons(&self) -> bool {
        self.input.wants_comparisons
    }
}

impl Env<'_> {
    /// A fresh identity.
    pub fn new_id(&mut self) -> u32 {
        self.path.new_id()
    }

    /// Writes to the kernel log when one is wanted. A message that ends verification goes through
    /// [`crate::reason`] instead; this is for lines before it.
    #[inline]
    pub fn verbose(&mut self, text: std::fmt::Arguments<'_>) {
        if self.input.log_level != 0 {
            self.observer.text(text);
        }
    }

    /// A line that belongs to the rejection which follows it.
    pub fn detail(&mut self, text: std::fmt::Arguments<'_>) {
        self.verbose(format_args!("{text}\n"));
        if self.wants_events() {
            self.observer.event(Event::Detail(text));
        }
    }

    /// The rejection that stands behind the one which follows.
    pub fn because(&mut self, reason: &Reason) {
        self.verbose(format_args!("{reason}\n"));
        if self.wants_events() {
            self.observer.event(Event::Because(reason));
        }
    }

    /// The instruction being verified.
    pub fn insn(&self) -> Insn {
        self.input.insns()[self.path.insn_idx]
    }

    /// A register of the current frame.
    pub fn reg(&self, r: u8) -> &RegState {
        self.path.state.reg(r)
    }

    /// A register of the current frame, for writing.
    pub fn reg_mut(&mut self, r: u8) -> &mut RegState {
        self.path.state.reg_mut(r)
    }

    /// Whether pointers may leak to the user and be compared (`allow_ptr_leaks`; `CAP_PERFMON`).
    pub fn allow_ptr_leaks(&self) -> bool {
        self.input.options.privileged
    }

    /// Whether uninitialised stack may be read (`allow_uninit_stack`).
    pub fn allow_uninit_stack(&self) -> bool {
        self.input.options.privileged
    }

    /// Whether CPU speculation needs no care (`bypass_spec_v1`, `bypass_spec_v4`).
    pub fn bypass_spec(&self) -> bool {
        self.input.options.privileged
    }

    /// Whether the program's license is one that the kernel takes for compatible with the GPL.
    pub fn is_gpl_compatible(&self) -> bool {
        const COMPATIBLE: [&str; 6] =
            ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];
        COMPATIBLE.contains(&self.input.object.license.as_str())
    }

    /// Whether the program runs with `CAP_BPF` (`bpf_capable`).
    pub fn bpf_capable(&self) -> bool {
        self.input.options.privileged || self.input.options.cap_bpf
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

    /// Where control may go inside the function after an instruction.
    pub(crate) fn successors(&self, at: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        let insn = self.insns()[at];
        let table = if insn.is_indirect_jump() { self.jump_tables.get(&at) } else { None };
        let table = table.map_or(&[][..], |t| t);
        insn.successors(at).within(self.insns().len()).chain(table.iter().copied())
    }

    /// One past the last slot of a subprogram.
    pub fn subprog_end(&self, subprog: usize) -> usize {
        self.subprogs.get(subprog + 1).map_or(self.input.insns().len(), |s| s.start)
    }
}
