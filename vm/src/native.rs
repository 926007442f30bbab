//! What engines share with runs, above all those that compile programs to native code.
//!
//! The compiler lives elsewhere; here are the words that its code reads and leaves in a [`Run`], the slot of a
//! [`Program`] where compiled code is kept, and [`EngineRun`]: a run in the hands of the engine that runs it.

use crate::fault::Fault;
pub use crate::generations::ArrayGenerations;
use crate::interp::access;
use crate::program::Program;
use crate::program::dense::Rmw;
use crate::regions::Window;
use crate::run::{CallbackFn, Run};
use ebpfkit_isa::AtomicOp;
use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A compiled function: the run and `r1` to `r5` in, `r0` out. The caller looks at [`EngineRun::status`] afterwards.
///
/// # Safety
/// The run's current program is the one that the function was compiled for, the run is in the function's mode, and it
/// has begun ([`EngineRun::begin`]). Without checks the arguments are what the verifier took for granted.
pub type NativeFn = unsafe extern "C" fn(*mut EngineRun, u64, u64, u64, u64, u64) -> u64;

/// The function ended as it should.
pub const STATUS_OK: u32 = 0;
/// It stopped because of a fault, which is in the run.
pub const STATUS_FAULT: u32 = 1;
/// It asks for the program that [`EngineRun::tail_call`] has entered to be run in its place.
pub const STATUS_TAIL_CALL: u32 = 2;

/// An address of the thread's stack, above the frames of what is called from here.
#[inline(always)]
pub(crate) fn stack_address() -> u64 {
    let here = 0u8;
    std::ptr::from_ref(std::hint::black_box(&here)) as u64
}

/// All of a run that native code reads and writes.
///
/// A run keeps it in step with its parts: nothing outside of this crate can write it but through [`EngineRun`].
// Lines of the cache are where they are whatever surrounds a run, so that its speed does not depend on that.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct RunContext {
    /// One of the `STATUS` numbers.
    pub(crate) status: u32,
    /// With a fault: slot of the instruction, unless the fault has one already.
    pub(crate) at: u32,
    /// What is left of the budget.
    pub(crate) left: u64,
    /// Checked mode: `r10` of the function that runs now.
    frame: u64,
    /// Checked mode: address of the context.
    pub(crate) context: u64,
    /// Checked mode: what the slow path of a load gave.
    value: u64,
    /// While an engine runs: an address of the thread's stack above all its frames; otherwise zero.
    pub(crate) stack_top: u64,
    /// The packet from its metadata to its end.
    pub(crate) packet: Window,
    /// The writable region of the last access that was neither stack nor packet nor context.
    pub(crate) recent: Window,
    /// Address of the generation marks of [`ArrayGenerations`]s.
    pub(crate) generations: u64,
    /// The generation of this run.
    pub(crate) generation: u32,
    /// The CPU. Unchecked native code reads it too.
    pub(crate) cpu: u32,
    /// Programs may write the packet.
    pub(crate) packet_writable: bool,
    /// The main function, once it has run in this mode.
    pub(crate) entry: Option<NativeFn>,
}

impl RunContext {
    pub(crate) fn new() -> Self {
        Self {
            status: STATUS_OK,
            at: 0,
            left: 0,
            frame: 0,
            context: 0,
            value: 0,
            stack_top: 0,
            packet: Window::default(),
            recent: Window::default(),
            generations: 0,
            generation: 0,
            cpu: 0,
            packet_writable: true,
            entry: None,
        }
    }

    /// Whether bytes are part of a packet that programs may write.
    #[inline(always)]
    pub(crate) fn may_write_packet(&self, address: u64, size: u64) -> bool {
        self.packet_writable && self.packet.has(address, size)
    }
}

/// Offsets of the words of a [`RunContext`], in bytes from the address that native code gets.
pub mod offset {
    use super::RunContext;
    use std::mem::offset_of;

    /// One of the `STATUS` numbers: 32 bits.
    pub const STATUS: i32 = offset_of!(RunContext, status) as i32;
    /// Slot of the instruction of a fault: 32 bits.
    pub const AT: i32 = offset_of!(RunContext, at) as i32;
    /// What is left of the budget.
    pub const LEFT: i32 = offset_of!(RunContext, left) as i32;
    /// `r10`, with checks.
    pub const FRAME: i32 = offset_of!(RunContext, frame) as i32;
    /// Address of the context, with checks.
    pub const CONTEXT: i32 = offset_of!(RunContext, context) as i32;
    /// What the slow path of a load gave.
    pub const VALUE: i32 = offset_of!(RunContext, value) as i32;
    /// Address of the packet's first byte, metadata included.
    pub const PACKET_BASE: i32 = offset_of!(RunContext, packet.base) as i32;
    /// Bytes of the packet.
    pub const PACKET_LEN: i32 = offset_of!(RunContext, packet.len) as i32;
    /// Whether programs may write it: a byte.
    pub const PACKET_WRITABLE: i32 = offset_of!(RunContext, packet_writable) as i32;
    /// Address of the region that was last found; it is writable.
    pub const RECENT_BASE: i32 = offset_of!(RunContext, recent.base) as i32;
    /// Its bytes.
    pub const RECENT_LEN: i32 = offset_of!(RunContext, recent.len) as i32;
    /// Address of the generation marks of [`ArrayGenerations`](super::ArrayGenerations)s.
    pub const GENERATIONS: i32 = offset_of!(RunContext, generations) as i32;
    /// The generation of this run: 32 bits.
    pub const GENERATION: i32 = offset_of!(RunContext, generation) as i32;
    /// The CPU: 32 bits. Unchecked native code reads it too.
    pub const CPU: i32 = offset_of!(RunContext, cpu) as i32;
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
    /// The pointer may be stale, so that the load has to be an [`EngineRun::probe`].
    pub probe: bool,
    /// The register holds a map, which is read as the kernel's struct ([`EngineRun::load_map`]).
    pub map: bool,
    /// It goes into an arena, whose addresses are not real ones.
    pub arena: bool,
}

/// A run in the hands of the engine that runs it: what only an engine may do, in the order in which engines do it.
///
/// An engine begins ([`EngineRun::begin`]), runs the main function, and tells how it ended ([`EngineRun::catch_exception`]).
#[repr(transparent)]
#[derive(Debug)]
pub struct EngineRun(Run);

impl Deref for EngineRun {
    type Target = Run;

    #[inline(always)]
    fn deref(&self) -> &Run {
        &self.0
    }
}

impl EngineRun {
    /// Takes a run over.
    ///
    /// # Safety
    /// The caller is an engine, or native code that an engine has entered with this run. It runs nothing but functions
    /// of the run's current program, in the run's mode; what it does through this type in between, it does because an
    /// instruction of the program asks for it, with the program's values.
    #[inline(always)]
    pub unsafe fn of(run: &mut Run) -> &mut Self {
        // SAFETY: the type is a transparent wrapper.
        unsafe { &mut *std::ptr::from_mut(run).cast() }
    }

    /// The run, for helpers.
    #[inline(always)]
    pub fn as_run(&mut self) -> &mut Run {
        &mut self.0
    }

    /// Gets ready for a run. The context keeps its fields, maps keep their contents.
    #[inline]
    pub fn begin(&mut self, callback: CallbackFn) {
        self.0.begin(callback);
    }

    /// Gets ready for a checked run after one that left the run clean.
    #[inline]
    pub fn begin_again(&mut self) {
        self.0.begin_again();
        self.0.native.context = self.0.ctx.address();
    }

    /// Says that what runs now will call [`EngineRun::set_dirty`] if need be.
    #[inline]
    pub fn set_clean(&mut self) {
        self.0.set_clean();
    }

    /// Says that a run does more than to use registers and memory, so that there is something to reset before the next.
    #[inline]
    pub fn set_dirty(&mut self) {
        self.0.set_dirty();
    }

    /// The end of a run: what the main function gave in, the program's result out.
    pub fn catch_exception(&mut self, result: Result<u64, Fault>) -> Result<u64, Fault> {
        self.0.catch_exception(result)
    }

    /// Begins the program that a function's tail call has entered, in the function's frame. The answer is for
    /// [`EngineRun::end_program`].
    pub fn begin_program(&mut self) -> Result<usize, Fault> {
        self.0.begin_program()
    }

    /// Ends a program that [`EngineRun::begin_program`] has begun: what its main function gave in, its result out.
    pub fn end_program(&mut self, outer: usize, result: Result<u64, Fault>) -> Result<u64, Fault> {
        self.0.end_program(outer, result)
    }

    /// The native function to enter, once it has run in this mode.
    #[inline(always)]
    pub fn entry(&self) -> Option<NativeFn> {
        self.0.native.entry
    }

    /// Remembers the native function to enter, which is the main function of the program in the run's mode.
    pub fn set_entry(&mut self, entry: NativeFn) {
        self.0.native.entry = Some(entry);
    }

    /// Says where the frames of the engine lie: below this address of the thread's stack; zero for none.
    #[inline(always)]
    pub fn set_stack_top(&mut self, address: u64) {
        self.0.native.stack_top = address;
    }

    /// Tells checked native code where the context lies.
    pub fn set_context(&mut self) {
        self.0.native.context = self.0.ctx.address();
    }

    /// The frame pointer that checked native code uses.
    pub fn native_frame(&self) -> u64 {
        self.0.native.frame
    }

    /// Tells checked native code the frame pointer.
    pub fn set_native_frame(&mut self, frame: u64) {
        self.0.native.frame = frame;
    }

    /// How the last native function ended.
    #[inline(always)]
    pub fn status(&self) -> u32 {
        self.0.native.status
    }

    /// Says how a function ends, or that this was heard of.
    #[inline]
    pub fn set_status(&mut self, status: u32) {
        self.0.native.status = status;
    }

    /// Slot of the instruction that native code has stopped at.
    pub fn at(&self) -> u32 {
        self.0.native.at
    }

    /// Sets the slot of the instruction that is in execution.
    pub fn set_at(&mut self, at: u32) {
        self.0.native.at = at;
    }

    /// Leaves a fault, with its status.
    pub fn fail(&mut self, fault: Fault) {
        self.0.native_fault = Some(fault);
        self.0.native.status = STATUS_FAULT;
    }

    /// Takes the fault.
    pub fn take_fault(&mut self) -> Option<Fault> {
        self.0.native_fault.take()
    }

    /// Leaves what the slow path of a load gave.
    pub fn set_value(&mut self, value: u64) {
        self.0.native.value = value;
    }

    /// Takes `count` instructions from the budget.
    pub fn spend(&mut self, count: u64) -> Result<(), Fault> {
        self.0.spend(count)
    }

    /// Enters a frame of a function that costs `cost`. Each call does, so that it stands where it is called. The
    /// frame starts with zeros.
    #[inline(always)]
    pub fn push_frame(&mut self, cost: u64) -> Result<(), Fault> {
        let run = &mut self.0;
        run.check_depth()?;
        run.spend(cost)?;
        run.go_to_depth(run.depth + 1);
        run.native.frame = run.frame_pointer();
        run.clear_new_frame();
        Ok(())
    }

    /// Leaves a frame.
    #[inline(always)]
    pub fn pop_frame(&mut self) {
        let run = &mut self.0;
        run.go_to_depth(run.depth.saturating_sub(1));
        run.native.frame = run.frame_pointer();
    }

    /// Calls a function of the program by its handle, as helpers do.
    pub fn call(&mut self, handle: u64, args: [u64; 5]) -> Result<u64, Fault> {
        self.0.call(handle, args)
    }

    /// A tail call: the program that takes over, or `None` when the call fails and the old one goes on.
    pub fn tail_call(&mut self, map: u64, index: u64) -> Result<Option<Arc<Program>>, Fault> {
        self.0.tail_call(map, index)
    }

    /// The program that ran before the one that was entered last.
    pub fn entered_from(&self) -> Option<&Arc<Program>> {
        self.0.entered_from()
    }

    /// Makes a program the running one: one that ran before.
    pub fn enter(&mut self, program: Arc<Program>) {
        self.0.enter(program);
    }

    /// Whether bytes lie in one region other than the context and may be accessed, in checked mode. The region is then
    /// the one that was last found.
    pub fn may_access(&mut self, address: u64, size: u64, write: bool) -> bool {
        let run = &mut self.0;
        run.memory.allows(&mut run.native, address, size, write)
    }

    /// A load in checked mode, zero-extended.
    pub fn load(&mut self, address: u64, size: u64) -> Result<u64, Fault> {
        self.0.load(address, size).map_err(Fault::from)
    }

    /// A store of the low bytes in checked mode.
    pub fn store(&mut self, address: u64, size: u64, value: u64) -> Result<(), Fault> {
        self.0.store(address, size, value).map_err(Fault::from)
    }

    /// A store of the low bytes of a constant in checked mode.
    pub fn store_constant(&mut self, address: u64, size: u64, value: u64) -> Result<(), Fault> {
        self.0.store_constant(address, size, value).map_err(Fault::from)
    }

    /// A load that gives zero where there is no memory of the program.
    pub fn probe(&mut self, address: u64, size: u64, signed: bool) -> u64 {
        access::probe(&mut self.0, address, size + if signed { 16 } else { 0 })
    }

    /// A load from a map as the kernel's struct.
    pub fn load_map(&self, map: u64, offset: i32, size: u64, signed: bool) -> u64 {
        access::load_map(&self.0, map, offset, size + if signed { 16 } else { 0 })
    }

    /// A legacy packet load, in host order; `None` outside the packet.
    pub fn packet_load(&self, offset: i32, size: usize) -> Option<u64> {
        access::packet_load(&self.0, offset, size)
    }

    /// A store into an arena; it is lost where no page is.
    pub fn store_arena(&mut self, address: u64, size: u64, value: u64) {
        access::store_arena(&mut self.0, address, size, value);
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
        access::atomic::<true>(&mut self.0, address, how, operand, expected).map(|(old, _)| old)
    }

    /// `load_acquire` in checked mode or from an arena, zero-extended.
    pub fn load_acquire(&mut self, address: u64, size: u64, arena: bool) -> Result<u64, Fault> {
        access::load_acquire::<true>(&mut self.0, address, size + arena_bit(arena))
    }

    /// `store_release` in checked mode or into an arena.
    pub fn store_release(&mut self, address: u64, size: u64, value: u64, arena: bool) -> Result<(), Fault> {
        access::store_release::<true>(&mut self.0, address, size + arena_bit(arena), value)
    }
}

fn arena_bit(arena: bool) -> u64 {
    if arena { Rmw::ARENA } else { 0 }
}
