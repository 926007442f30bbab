//! Everything one verification works with (`struct bpf_verifier_env`).

use crate::domain::{RegExtra, RegState};
use crate::kernel_model::KernelModel;
use crate::observer::Observer;
use crate::state::VerifierState;
use ebpfkit_isa::Insn;
use ebpfkit_object::{Btf, Map, Object, Program};
use std::cell::Cell;
use std::sync::Arc;

/// Privileges and limits of a verification.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `CAP_BPF` and `CAP_PERFMON`, which lift the unprivileged rules. False models a user without capabilities.
    pub privileged: bool,
    /// Without `privileged`: the user has `CAP_BPF` still, but not `CAP_PERFMON` or `CAP_NET_ADMIN`.
    pub cap_bpf: bool,
    /// Reject accesses that are not aligned even where the machine allows them (`BPF_F_STRICT_ALIGNMENT`).
    pub strict_alignment: bool,
    /// Walk every path to its end, although an equal state was explored before. Verdicts near the limits differ from
    /// the kernel's; what is recorded of each instruction is then complete.
    pub exhaustive: bool,
    /// Also see what Linux 6.18 does not: that a fetching atomic operation takes a number from the stack, and that a
    /// sign-extending load makes another number. The kernel may take a branch for dead that is not; what runs without
    /// checks must not rest on that.
    pub sound: bool,
}

impl Options {
    /// Those for programs that are to run without checks.
    pub fn to_run() -> Self {
        Self { sound: true, ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { privileged: true, cap_bpf: false, strict_alignment: false, exhaustive: false, sound: false }
    }
}

/// A map that the program uses.
#[derive(Clone, Debug)]
pub struct UsedMap {
    /// Index in the object.
    pub index: usize,
    /// Definition. Inner templates are appended to the list and have no index of their own.
    pub def: Map,
    /// For map-in-map: position of the inner template in [`Env::maps`].
    pub inner: Option<u32>,
    /// Special fields of the value (locks, timers, kptrs, lists, ...).
    pub record: std::rc::Rc<crate::memory::record::Record>,
}

/// Paths bring different maps to one call.
pub(crate) const SEVERAL_MAPS: u32 = u32::MAX;

/// What is kept by instruction (`bpf_insn_aux_data`).
#[derive(Clone, Debug, Default)]
pub struct InsnAux {
    /// Verified at least once.
    pub seen: bool,
    /// States are compared here.
    pub prune_point: bool,
    /// States are always compared and kept here.
    pub force_checkpoint: bool,
    /// A jump or call target worth an entry in the history.
    pub jmp_point: bool,
    /// A call that runs a callback.
    pub calls_callback: bool,
    /// Registers that may be read before they are written, as a bit mask (bit n for rn).
    pub live_regs_before: u16,
    /// Strongly connected component of the control-flow graph; zero for none.
    pub scc: u32,
    /// Kind of the pointer that this load or store goes through, so that two paths agree (`ptr_type`).
    pub ptr_type: Option<crate::domain::RegType>,
    /// For a 64-bit immediate: what it makes.
    pub ld_imm: Option<(crate::domain::RegType, RegExtra, u32)>,
    /// Speculation must stop before this instruction.
    pub nospec: bool,
    /// Speculation must stop after this instruction.
    pub nospec_result: bool,
    /// How the operand of pointer arithmetic is masked against speculation (`alu_state`); zero when it is not.
    pub alu_sanitize: u8,
    /// How far the masked offset may reach; with `alu_sanitize`.
    pub alu_limit: u32,
    /// Map of a tail call, by index plus one (`map_ptr_state`); `SEVERAL_MAPS` when paths differ. Noted without
    /// privileges only.
    pub map_ptr: u32,
    /// The stack access of a `bpf_fastcall` pattern.
    pub fastcall_pattern: bool,
    /// Spills and fills around the call that the pattern covers.
    pub fastcall_spills: u8,
    /// A `bpf_loop` call that has been seen with flags, so that it is not made a plain loop.
    pub loop_not_inline: bool,
}

/// What is known of a subprogram (`bpf_subprog_info`).
#[derive(Clone, Debug, Default)]
pub struct SubprogInfo {
    /// First slot.
    pub start: usize,
    /// Name, from BTF; empty without.
    pub name: String,
    /// Global function, verified on its own.
    pub global: bool,
    /// BTF id of the `FUNC`; zero without.
    pub func_id: u32,
    /// Stack bytes used so far.
    pub stack_depth: u32,
    /// First byte of stack that is used by a `bpf_fastcall` pattern only.
    pub fastcall_stack_off: i16,
    /// Keeps the fastcall contract.
    pub keep_fastcall_stack: bool,
    /// Reaches a tail call.
    pub has_tail_call: bool,
    /// Uses legacy packet loads.
    pub has_ld_abs: bool,
    /// Is a callback of any kind.
    pub is_cb: bool,
    /// Is an asynchronous callback.
    pub is_async_cb: bool,
    /// Is an exception callback.
    pub is_exception_cb: bool,
    /// Global function that has been called and must be verified.
    pub called: bool,
    /// Calls something that changes packet data.
    pub changes_pkt_data: bool,
    /// Calls something that may sleep.
    pub might_sleep: bool,
    /// Arguments of a global function, prepared from BTF; see `front::global_args`.
    pub args: Vec<crate::front::global_args::GlobalArg>,
    /// `args` has been filled.
    pub args_cached: bool,
    /// Blocks in reverse postorder: range in [`Env::postorder`].
    pub postorder: (usize, usize),
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
    pub walk: crate::explore::Walk,
    /// Which stack slots may still be read.
    pub liveness: crate::liveness::Liveness,
    /// What the log has shown so far.
    pub trace: crate::log::Trace,
    /// The calls' own tables.
    pub calls: crate::call::Calls,
    /// What has been found out about types.
    pub types: crate::memory::types::Types,
    /// Tables of the front passes.
    pub front: crate::front::Front,
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
}
