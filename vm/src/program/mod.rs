//! Programs that are ready to run: functions found, maps and helpers resolved, decoded once.

mod cost;
mod decode;
pub(crate) mod dense;
pub(crate) mod fuse;
mod load;
mod loops;
pub(crate) mod step;

pub(crate) use load::Pieces;
pub use load::{KfuncName, Loader};

use crate::context::CtxLayout;
use crate::contract::Contract;
use crate::generations::ArrayGenerations;
use crate::maps::{Kind, Map, Owner};
use crate::native::{Access, NativeSlots};
use crate::regions::Region;
use crate::run::HelperFn;
pub(crate) use decode::Code;
use ebpfkit_abi::{AttachType, ProgType};
use ebpfkit_isa::{DecodeError, Insn};
use ebpfkit_object::ProgramFlags;
use ebpfkit_verifier::Verified;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// Why a program cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A slot that is no instruction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// There are no instructions.
    #[error("a program without instructions")]
    Empty,
    /// A jump or call that leads to no instruction.
    #[error("insn {at}: target {target} is no instruction of the program")]
    BadTarget {
        /// Slot of the jump.
        at: usize,
        /// Slot it leads to.
        target: i64,
    },
    /// A map that was not given.
    #[error("insn {at}: map number {map} does not exist")]
    NoMap {
        /// Slot.
        at: usize,
        /// Its number.
        map: u32,
    },
    /// A map that could not be made.
    #[error("insn {at}: {error}")]
    Map {
        /// Slot.
        at: usize,
        /// Why.
        error: crate::maps::MapError,
    },
    /// A map that is not the one that the program was verified with.
    #[error(transparent)]
    Broken(#[from] crate::contract::Broken),
    /// A setting that a verified program does not have.
    #[error("a program that was verified as {verified} cannot be loaded as {requested}")]
    OtherType {
        /// Type that was verified.
        verified: ProgType,
        /// Type that is asked for.
        requested: ProgType,
    },
    /// A prog array of programs of another kind.
    #[error("map {map}: its programs are of another type or attach type (-EINVAL)")]
    Owner {
        /// Name of the map.
        map: String,
    },
    /// A map whose values hold pointers, locks or the like, and that programs use which were not verified in the same way.
    #[error("map {map}: its values hold more than bytes, and it is used by verified programs and others")]
    Users {
        /// Name of the map.
        map: String,
    },
    /// Something that cannot be run yet.
    #[error("insn {at}: not supported yet: {what}")]
    Unsupported {
        /// Slot.
        at: usize,
        /// What.
        what: String,
    },
}

/// Where the handles of functions start. No memory has such addresses.
const FUNCTIONS: u64 = 0xffff_b000_0000_0000;

/// What a register holds as the address of function number `index`.
pub(crate) fn func_handle(index: usize) -> u64 {
    FUNCTIONS + index as u64 * 16
}

/// One function of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Slot of its first instruction.
    pub start: usize,
    /// Slot after its last.
    pub end: usize,
}

/// A program that can be run. Cheap to share between threads and runs.
#[derive(Debug)]
pub struct Program {
    id: u32,
    pieces: Pieces,
    ctx: Arc<CtxLayout>,
    fixed: Arc<[Region]>,
    checked: Code,
    /// Bytes of the main function's frame that it can touch.
    frame: usize,
    unchecked: OnceLock<Code>,
    native: NativeSlots,
    contract: Option<Contract>,
    /// One of the maps is a ring buffer.
    has_rings: bool,
    /// Number of the function that handles exceptions.
    exception_callback: Option<usize>,
    /// Verification does not bound how often something runs.
    is_unbounded: bool,
    array_generations: Arc<[ArrayGenerations]>,
}

impl Program {
    /// Number, unique in this process.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Name; empty when unknown.
    pub fn name(&self) -> &str {
        &self.pieces.name
    }

    /// Program type.
    pub fn prog_type(&self) -> ProgType {
        self.pieces.prog_type
    }

    /// Attach type.
    pub fn attach_type(&self) -> AttachType {
        self.pieces.attach_type
    }

    /// The slots, as they were given.
    pub fn insns(&self) -> &[Insn] {
        &self.pieces.insns
    }

    /// Functions by first slot; the main one comes first.
    pub fn functions(&self) -> Vec<Function> {
        let starts = &self.pieces.functions;
        let ends = starts.iter().skip(1).copied().chain([self.pieces.insns.len()]);
        starts.iter().copied().zip(ends).map(|(start, end)| Function { start, end }).collect()
    }

    /// What entering a function costs of a run's budget: its instructions.
    #[inline]
    pub fn function_cost(&self, function: usize) -> u64 {
        self.checked.costs.get(function).copied().unwrap_or(1)
    }

    /// By instruction, not slot: whether it is a jump that closes a loop, and so costs of a run's budget.
    pub fn loop_jumps(&self) -> &[bool] {
        &self.checked.loop_jumps
    }

    /// The number of the function that handles exceptions, which a tag on the main function names.
    pub fn exception_callback(&self) -> Option<usize> {
        self.exception_callback
    }

    /// Whether verification leaves open how often a part of the program runs: `may_goto`, callbacks and iterators run
    /// on for as long as they are told to, other loops for no more instructions than the verifier walks.
    pub fn is_unbounded(&self) -> bool {
        self.is_unbounded
    }

    /// The number of the function that a register's value names (a `FUNC` immediate), if it is one.
    pub fn function_of_handle(&self, handle: u64) -> Option<usize> {
        let distance = handle.checked_sub(FUNCTIONS)?;
        let index = usize::try_from(distance / 16).ok()?;
        (distance % 16 == 0 && index < self.pieces.functions.len()).then_some(index)
    }

    /// Why the call at a slot has nothing to call.
    pub(crate) fn unavailable_at(&self, at: usize) -> Option<&str> {
        self.pieces.unavailable_at(at)
    }

    /// The maps that instructions name, each once.
    pub fn maps(&self) -> &[Arc<Map>] {
        &self.pieces.maps
    }

    /// The 64-bit number that the immediate load at a slot makes: handles of maps and functions, addresses of values.
    /// `None` when the slot is no such load.
    pub fn imm64_at(&self, slot: usize) -> Option<u64> {
        let at = self.checked.slots.binary_search(&u32::try_from(slot).ok()?).ok()?;
        let inst = self.checked.insts[at];
        (inst.op == dense::Op::MovK && self.insns()[slot].is_ld_imm64()).then_some(inst.imm)
    }

    /// The function behind the helper or kernel function call at a slot.
    pub fn helper_at(&self, slot: usize) -> Option<HelperFn> {
        let at = self.checked.slots.binary_search(&u32::try_from(slot).ok()?).ok()?;
        let inst = self.checked.insts[at];
        (inst.op == dense::Op::CallHelper).then(|| self.pieces.helpers[inst.imm as usize])
    }

    /// The object's types, when they were given.
    pub fn btf(&self) -> Option<&Arc<ebpfkit_object::Btf>> {
        self.pieces.btf.as_ref()
    }

    /// How the context is kept.
    pub fn ctx_layout(&self) -> &Arc<CtxLayout> {
        &self.ctx
    }

    /// What the verifier proved, if it did and all of it holds: not for a program that calls helpers of the user's.
    pub fn verified(&self) -> Option<&Verified> {
        self.pieces.verified.as_ref().filter(|_| !self.pieces.replaced)
    }

    /// The kernel's types, if the program was verified with them, or has something that needs them.
    pub(crate) fn kernel_types(&self) -> Option<&Arc<ebpfkit_object::Btf>> {
        self.pieces.kernel_types()
    }

    /// The kernel's type that it is attached to; of a method the struct of operations.
    pub(crate) fn attach_btf_id(&self) -> u32 {
        self.pieces.attach_btf_id
    }

    /// What the program takes for granted, when it was verified.
    pub fn contract(&self) -> Option<&Contract> {
        self.contract.as_ref()
    }

    /// Whether the program can run without checks: it was verified, and a run can give all that it takes for granted.
    #[inline]
    pub fn runs_unchecked(&self) -> bool {
        !self.pieces.replaced && self.contract.as_ref().is_some_and(|c| c.sandboxed().is_none())
    }

    /// Whether neither the program nor one that it reaches by tail calls needs checks, so that a run can do without.
    pub(crate) fn chain_runs_unchecked(&self) -> bool {
        let mut seen = BTreeSet::from([self.id]);
        let mut open = self.targets();
        while let Some(program) = open.pop() {
            if seen.insert(program.id) {
                if !program.runs_unchecked() {
                    return false;
                }
                open.extend(program.targets());
            }
        }
        self.runs_unchecked()
    }

    /// What tail calls can go to now.
    fn targets(&self) -> Vec<Arc<Program>> {
        let slots = |map: &Arc<Map>| match map.kind() {
            Kind::Slots(slots) => slots.programs(),
            _ => Vec::new(),
        };
        self.maps().iter().flat_map(slots).collect()
    }

    /// Whether it is an XDP program for packets in several pieces (`BPF_F_XDP_HAS_FRAGS`).
    pub fn has_frags(&self) -> bool {
        self.pieces.flags.has(ProgramFlags::XDP_HAS_FRAGS)
    }

    /// What has to be the same of all programs of a prog array.
    pub(crate) fn owner(&self) -> Owner {
        Owner {
            prog_type: self.pieces.prog_type,
            attach_type: self.pieces.attach_type,
            xdp_has_frags: self.has_frags(),
            sleepable: self.pieces.flags.has(ProgramFlags::SLEEPABLE),
        }
    }

    /// Bytes below `r10` that a function can touch.
    #[inline]
    pub(crate) fn frame_bytes(&self) -> usize {
        self.frame
    }

    /// Memory that the program may use in every run: global data.
    pub fn fixed_regions(&self) -> &Arc<[Region]> {
        &self.fixed
    }

    /// The arena whose addresses the program casts.
    pub fn arena(&self) -> Option<&Arc<Map>> {
        self.pieces.arena.as_ref()
    }

    /// Where the load, store or atomic operation at a slot goes in unchecked mode; `None` for other instructions.
    pub fn access_at(&self, slot: usize) -> Option<Access> {
        decode::access(&self.pieces, slot)
    }

    /// The arrays whose elements native code with checks finds itself.
    pub fn array_generations(&self) -> &Arc<[ArrayGenerations]> {
        &self.array_generations
    }

    /// Whether one of the maps is a ring buffer.
    #[inline]
    pub(crate) fn has_rings(&self) -> bool {
        self.has_rings
    }

    #[inline]
    pub(crate) fn native_slots(&self) -> &NativeSlots {
        &self.native
    }

    pub(crate) fn helpers(&self) -> &[HelperFn] {
        &self.pieces.helpers
    }

    /// The function behind a helper number, for calls through registers.
    pub fn helper_by_id(&self, id: u32) -> Option<HelperFn> {
        self.pieces.find_helper(id)
    }

    pub(crate) fn code(&self, checked: bool) -> &Code {
        if checked {
            return &self.checked;
        }
        // Decoding has already succeeded with checks, and `Loader::load` has tried the translation.
        self.unchecked.get_or_init(|| decode::code(&self.pieces, true).unwrap_or_default())
    }
}
