//! What programs that were compiled to native code share with runs.
//!
//! The compiler lives elsewhere; here are the words that its code leaves in a [`Run`], the slot of a [`Program`] where
//! compiled code is kept, and the accesses that native code does not do itself.

use crate::fault::Fault;
pub use crate::given::MarkedArray;
use crate::interp::access;
use crate::program::Program;
use crate::program::dense::Rmw;
use crate::run::Run;
use ebpfkit_isa::AtomicOp;
use std::any::Any;
use std::sync::{Arc, OnceLock};

/// A compiled function: the run and `r1` to `r5` in, `r0` out. The caller looks at [`NativeState::status`] afterwards.
pub type NativeFn = unsafe extern "C" fn(*mut Run, u64, u64, u64, u64, u64) -> u64;

/// The function ended as it should.
pub const STATUS_OK: u32 = 0;
/// It stopped because of a fault, which is in [`NativeState::fault`].
pub const STATUS_FAULT: u32 = 1;
/// It asks for the program that [`Run::tail_call`] has entered to be run in its place.
pub const STATUS_TAIL_CALL: u32 = 2;

/// Offsets in a [`Run`] of the regions that checked native code compares with, in bytes.
pub mod offset {
    use super::Run;
    use std::mem::offset_of;

    /// Address of the packet's first byte, metadata included.
    pub const PACKET_BASE: usize = offset_of!(Run, memory.packet.base);
    /// Bytes of the packet.
    pub const PACKET_LEN: usize = offset_of!(Run, memory.packet.len);
    /// Whether programs may write it: a byte.
    pub const PACKET_WRITABLE: usize = offset_of!(Run, memory.packet_writable);
    /// Address of the region that was last found; it is writable.
    pub const RECENT_BASE: usize = offset_of!(Run, memory.recent.base);
    /// Its bytes.
    pub const RECENT_LEN: usize = offset_of!(Run, memory.recent.len);
    /// Address of the marks of [`MarkedArray`](super::MarkedArray)s.
    pub const MARKS: usize = offset_of!(Run, memory.given.marks);
    /// The mark of this run: 32 bits.
    pub const MARK: usize = offset_of!(Run, memory.given.mark);
    /// The CPU: 32 bits. Unchecked native code reads it too.
    pub const CPU: usize = offset_of!(Run, world.cpu);
}

/// Words that native code reads and writes.
#[repr(C)]
#[derive(Debug, Default)]
pub struct NativeState {
    /// One of the `STATUS` numbers.
    pub status: u32,
    /// With a fault: slot of the instruction, unless the fault has one already.
    pub at: u32,
    /// Checked mode: `r10` of the function that runs now.
    pub frame: u64,
    /// Checked mode: address of the context.
    pub context: u64,
    /// The main function, once it has run in this mode.
    pub entry: Option<NativeFn>,
    /// Checked mode: what the slow way of a load gave.
    pub value: u64,
    /// The fault.
    pub fault: Option<Fault>,
    /// While native code runs without checks: an address of the thread's stack above all its frames; otherwise zero.
    pub stack_top: u64,
}

/// Native code of a program, or of several that are the same. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NativeCode {
    /// By function.
    pub entries: Arc<[NativeFn]>,
    /// Owns the memory of the code.
    pub memory: Arc<dyn Any + Send + Sync>,
}

/// Where a program keeps its native code: without and with checks.
#[derive(Debug, Default)]
pub(crate) struct NativeSlots([OnceLock<NativeCode>; 2]);

impl Program {
    /// The program's native code, if it was compiled.
    #[inline]
    pub fn native(&self, checked: bool) -> Option<&NativeCode> {
        self.native_slots().0[usize::from(checked)].get()
    }

    /// Keeps native code for the program. Code that came earlier stays.
    ///
    /// # Safety
    /// The entries are this program's functions, compiled for the mode, and valid as long as `memory` lives. Code that was
    /// compiled for another program has to name no more than what this one holds: the same maps, the same helpers.
    pub unsafe fn set_native(&self, checked: bool, code: NativeCode) -> &NativeCode {
        self.native_slots().0[usize::from(checked)].get_or_init(|| code)
    }
}

/// Where a load, store or atomic operation of unchecked mode goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Bytes of memory: those of the instruction, or eight where a pointer stands behind a narrower field.
    pub size: u64,
    /// Offset from the register.
    pub offset: i32,
    /// The pointer may be stale, so that the load has to be a [`Run::probe`].
    pub probe: bool,
    /// It goes into an arena, whose addresses are not real ones.
    pub arena: bool,
}

impl Run {
    /// Whether bytes lie in one region other than the context and may be accessed, in checked mode. The region is then
    /// the one that was last found.
    pub fn may_access(&mut self, address: u64, size: u64, write: bool) -> bool {
        self.memory.allows(address, size, write)
    }

    /// A load in checked mode, zero-extended.
    pub fn load(&mut self, address: u64, size: u64) -> Result<u64, Fault> {
        self.memory.load(&self.ctx, address, size).map_err(Fault::from)
    }

    /// A store of the low bytes in checked mode.
    pub fn store(&mut self, address: u64, size: u64, value: u64) -> Result<(), Fault> {
        self.memory.store(&self.ctx, address, size, value).map_err(Fault::from)
    }

    /// A load that gives zero where there is no memory of the program.
    pub fn probe(&mut self, address: u64, size: u64, signed: bool) -> u64 {
        access::probe(self, address, size + if signed { 16 } else { 0 })
    }

    /// A legacy packet load, in host order; `None` outside the packet.
    pub fn packet_load(&self, offset: i32, size: usize) -> Option<u64> {
        access::packet_load(self, offset, size)
    }

    /// A store into an arena; it is lost where no page is.
    pub fn store_arena(&mut self, address: u64, size: u64, value: u64) {
        access::store_arena(self, address, size, value);
    }

    /// An atomic operation in checked mode or on an arena; the old value. `expected` is compared in
    /// [`AtomicOp::Cmpxchg`].
    pub fn atomic(
        &mut self,
        (op, fetch, wide, arena): (AtomicOp, bool, bool, bool),
        address: u64,
        operand: u64,
        expected: u64,
    ) -> Result<u64, Fault> {
        let how = Rmw::number(op, fetch, wide) + arena_bit(arena);
        access::atomic::<true>(self, address, how, operand, expected).map(|(old, _)| old)
    }

    /// `load_acquire` in checked mode or from an arena, zero-extended.
    pub fn load_acquire(&mut self, address: u64, size: u64, arena: bool) -> Result<u64, Fault> {
        access::load_acquire::<true>(self, address, size + arena_bit(arena))
    }

    /// `store_release` in checked mode or into an arena.
    pub fn store_release(&mut self, address: u64, size: u64, value: u64, arena: bool) -> Result<(), Fault> {
        access::store_release::<true>(self, address, size + arena_bit(arena), value)
    }
}

fn arena_bit(arena: bool) -> u64 {
    if arena { Rmw::ARENA } else { 0 }
}
