//! What verification answers.

use crate::reason::Rejection;
use ebpfkit_object::btf::TypeId;
use ebpfkit_object::record::Record;
use ebpfkit_object::{Btf, Map, Program};
use std::sync::Arc;

/// The decision on one program.
#[derive(Clone, Debug)]
pub enum Verdict<T = Verified> {
    /// The kernel would load it.
    Accepted(T),
    /// The kernel would refuse it.
    Rejected(Box<Rejection>),
    /// Not modelled; no guess is made.
    Unsupported {
        /// What is missing.
        what: String,
        /// Slot.
        at: usize,
    },
}

/// Verdict and figures.
#[derive(Clone, Debug)]
pub struct Report<T = Verified> {
    /// Decision.
    pub verdict: Verdict<T>,
    /// Instructions processed, as the kernel counts them.
    pub insns_processed: u64,
    /// States kept over the whole run (`total_states`).
    pub total_states: u64,
    /// Most states at one time (`peak_states`).
    pub peak_states: u64,
    /// Most states of one instruction (`max_states_per_insn`).
    pub max_states_per_insn: u64,
    /// Stack depth of each function, in bytes, as in the kernel's `stack depth` line.
    pub stack_depths: Vec<u32>,
}

/// A program that was verified, with what was proved of it. Only the verifier makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    pub(crate) program: Arc<Program>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) assumptions: Arc<Assumptions>,
}

/// What was taken for granted of the world around the program. What was proved holds where all of this does.
#[derive(Clone, Debug, Default)]
pub struct Assumptions {
    /// The verification was [sound](crate::Options::sound): without, the kernel's own errors are part of it.
    pub sound: bool,
    /// The maps that the program names.
    pub maps: Vec<AssumedMap>,
    /// The types that the program brings along.
    pub object_types: Option<Arc<Btf>>,
    /// The kernel's types, if the verification has looked at them.
    pub kernel_types: Option<Arc<Btf>>,
    /// Bytes of the context that are read or written, from its start.
    pub ctx_bytes: u32,
    /// Pointers to kernel structs that the context holds, as far as they are read: byte offset and type, which is zero
    /// for a buffer.
    pub arguments: Vec<(u32, TypeId)>,
    /// Bytes of the buffer that the context points to which are read or written.
    pub buffer_bytes: u32,
}

/// A map as the verifier knows it.
#[derive(Clone, Debug)]
pub struct AssumedMap {
    /// Number in the object.
    pub number: usize,
    /// Definition. Initial contents are kept where the program can rely on them: in frozen maps that it may only read.
    pub def: Map,
    /// Special fields of its values.
    pub fields: Record,
    /// Special fields of the values of inner maps.
    pub inner_fields: Record,
}

/// What was proved of each instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// By slot: whether any path reaches it. Unreached instructions are dead.
    pub reached: Vec<bool>,
    /// By slot of a load, store or atomic operation: the kind of pointer that it goes through. All paths agree where
    /// either kind is one whose accesses are translated (contexts, sockets, kernel objects, arenas).
    pub pointers: Vec<Option<crate::RegType>>,
    /// Maps that any instruction names, as indices in the object, in the order in which they are first named.
    pub maps: Vec<usize>,
    /// Prototype of the function that a program with typed arguments attaches to, in the kernel's types; else zero.
    pub attach_proto: u32,
    /// The verification was [sound](crate::Options::sound), and that may have mattered: without, `reached` may be less.
    pub soundness_mattered: bool,
}

impl Verified {
    /// The program.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// What was proved.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What was taken for granted.
    pub fn assumptions(&self) -> &Assumptions {
        &self.assumptions
    }

    /// The facts, to keep.
    pub fn shared_facts(&self) -> &Arc<Facts> {
        &self.facts
    }
}
