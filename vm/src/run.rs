//! One run at a time of a program: everything that it and its helpers touch.

use crate::budget::Budget;
use crate::context::CtxMemory;
use crate::event::{Event, Redirect};
use crate::fault::{Fault, FaultKind};
use crate::helpers::State;
use crate::maps::{KERNEL_STRUCT, Map};
use crate::memory::{Memory, STACK_BYTES};
use crate::native::{EngineRun, RunContext, STATUS_OK};
use crate::objects::Objects;
use crate::packet::Packet;
use crate::packet::{Origin, starts_at_link};
use crate::program::Program;
use crate::regions::Window;
use crate::regions::{AddedRegion, What};
use crate::world::{Space, World};
use ebpfkit_abi::net::ETH_HLEN;
use ebpfkit_isa::STACK_SIZE;
use std::any::Any;
use std::sync::Arc;

/// A helper: the run and `r1` to `r5` in, `r0` out. A fault ends the run.
///
/// # Safety
/// It is called by an engine that is running a program in the run, for a call of that program. Without checks the
/// verifier has to have proved the arguments of this call.
pub type HelperFn = unsafe fn(&mut Run, [u64; 5]) -> Result<u64, Fault>;

/// Runs the function behind a handle on behalf of a helper: the way back into the engine.
pub type CallbackFn = fn(&mut EngineRun, function: usize, args: [u64; 5]) -> Result<u64, Fault>;

/// The stack of all frames.
#[repr(C, align(16))]
#[derive(Debug)]
struct Stack([u8; STACK_BYTES]);

/// A place to run a program in. It is made once and used for many runs; nothing is allocated in between.
///
/// Its parts fit each other: regions are those of the packet and the context, what native code reads is that of the run
/// that it runs in. So they can be looked at from outside, and set through methods that keep them so.
#[repr(C)]
#[derive(Debug)]
pub struct Run {
    /// All that native code sees; first, so that its address is the run's.
    pub(crate) native: RunContext,
    /// The fault that native code has stopped with.
    pub(crate) native_fault: Option<Fault>,
    /// Clock, random numbers, tasks, devices.
    pub(crate) world: World,
    /// The context object.
    pub(crate) ctx: CtxMemory,
    /// What pointers of the context lead to.
    objects: Objects,
    /// The packet, for program types that have one.
    pub(crate) packet: Packet,
    /// Bytes of the packet before its network header: 14 where programs see the Ethernet header.
    pub(crate) network_offset: usize,
    /// Regions of checked mode.
    pub(crate) memory: Memory,
    /// What programs emitted since they were last taken.
    pub(crate) events: Vec<Event>,
    /// What the last redirect helper asked for.
    pub(crate) redirect: Option<Redirect>,
    /// What helpers keep between calls.
    pub(crate) state: State,
    /// Looks at every instruction of interpreted runs.
    pub(crate) watch: Option<crate::watch::Watcher>,
    /// Whatever the user's own helpers need.
    pub(crate) user: Option<Box<dyn Any + Send>>,
    /// What the run may do.
    pub(crate) budget: Budget,
    /// Tail calls made in this run.
    pub(crate) tail_calls: u32,
    /// Nested calls at this moment; zero in the main program. Engines keep it true when they call helpers.
    pub(crate) depth: usize,
    /// Depth of the running program's main function.
    pub(crate) main_depth: usize,
    program: Arc<Program>,
    /// The program that runs now; differs from `program` after a tail call.
    current: Arc<Program>,
    /// Programs reached by tail calls, kept until the run ends.
    pub(crate) retired: Vec<Arc<Program>>,
    pub(crate) held: Vec<Arc<Map>>,
    stack: Box<Stack>,
    pub(crate) callback: CallbackFn,
    pub(crate) has_packet: bool,
    /// There may be something to reset before the next run.
    dirty: bool,
}

impl Run {
    /// A place for a program. It runs with checks unless the program is verified, and all that it takes for granted
    /// can be given ([`Contract::sandboxed`](crate::Contract::sandboxed)).
    pub fn new(program: &Arc<Program>, world: World) -> Self {
        let mut native = RunContext::new();
        let mut memory = Memory::new();
        memory.checked = !program.chain_runs_unchecked();
        memory.adopt(&mut native, program);
        let mut ctx = CtxMemory::new(program.ctx_layout().clone());
        let arguments = program.contract().map_or(&[][..], |c| c.arguments());
        let objects = Objects::lay_out(program.prog_type(), program.attach_type(), arguments, &mut ctx);
        Self {
            native,
            native_fault: None,
            world,
            ctx,
            objects,
            packet: Packet::default(),
            network_offset: 0,
            memory,
            events: Vec::new(),
            redirect: None,
            state: State::default(),
            watch: None,
            user: None,
            budget: Budget::default(),
            tail_calls: 0,
            depth: 0,
            main_depth: 0,
            program: program.clone(),
            current: program.clone(),
            retired: Vec::new(),
            held: Vec::new(),
            // SAFETY: bytes may be zero.
            stack: unsafe { Box::new_zeroed().assume_init() },
            callback: |_, _, _| Err(Fault::unsupported("callbacks in this engine")),
            has_packet: false,
            dirty: true,
        }
    }

    /// The program that was given.
    #[inline]
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The program that runs now; differs after a tail call.
    #[inline]
    pub fn current(&self) -> &Arc<Program> {
        &self.current
    }

    /// Clock, random numbers, tasks, devices.
    #[inline]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The world, to change it before the next run.
    pub fn world_mut(&mut self) -> &mut World {
        self.dirty = true;
        &mut self.world
    }

    /// Sets the monotonic clock.
    #[inline]
    pub fn set_time(&mut self, monotonic_ns: u64) {
        self.world.monotonic_ns = monotonic_ns;
    }

    /// The context.
    #[inline]
    pub fn ctx(&self) -> &CtxMemory {
        &self.ctx
    }

    /// Sets a number of the context; false when the context has no such field, or the field is a pointer, which only the
    /// run itself sets.
    pub fn set_ctx_field(&mut self, name: &str, value: u64) -> bool {
        self.dirty = true;
        self.ctx.layout().is_number(name) && self.ctx.set(name, value)
    }

    /// Sets an element of an array of numbers; see [`Run::set_ctx_field`].
    pub fn set_ctx_element(&mut self, name: &str, index: usize, value: u64) -> bool {
        self.dirty = true;
        self.ctx.layout().is_number(name) && self.ctx.set_element(name, index, value)
    }

    /// Sets the value of the socket option that the context is about; false when it is about none.
    pub fn set_option_value(&mut self, value: &[u8]) -> bool {
        self.dirty = true;
        self.objects.set_option(&mut self.ctx, value)
    }

    /// The value of the socket option, as the program has left it.
    pub fn option_value(&self) -> Option<Vec<u8>> {
        self.objects.option()
    }

    /// Forgets what the run before has answered besides its return value, and sets what `bpf_get_retval` gives.
    pub fn begin_event(&mut self, retval: i32) {
        self.dirty = true;
        self.state.retval = retval;
        self.state.override_return = None;
        self.state.sockets.assigned = None;
    }

    /// Sets the context from bytes of the struct as user space sees it; pointers stay as they are. Plain contexts take
    /// the bytes as they are.
    pub fn set_ctx(&mut self, bytes: &[u8]) {
        self.dirty = true;
        self.ctx.load_struct(bytes);
        // A timer's callback may run before the next run begins.
        self.native.context = self.ctx.address();
    }

    /// Sets a context of plain bytes to zeros, with pointers to what the run has laid out.
    pub(crate) fn set_default_ctx(&mut self, len: usize) {
        self.dirty = true;
        self.ctx.set_bytes(&vec![0; len]);
        self.objects.point_from(&mut self.ctx);
        self.native.context = self.ctx.address();
    }

    /// What a flow dissector has found, as the kernel's `struct bpf_flow_keys`.
    pub fn flow_keys(&self) -> Option<Vec<u8>> {
        Some(self.objects.flow_keys()?.iter().flat_map(|w| w.to_ne_bytes()).collect())
    }

    /// The packet.
    #[inline]
    pub fn packet(&self) -> &Packet {
        &self.packet
    }

    /// What programs emitted and nobody has taken.
    #[inline]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Takes what programs emitted.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// What programs emitted, to take part of it.
    #[inline]
    pub fn events_mut(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    /// What the last redirect helper asked for.
    pub fn redirect(&self) -> Option<Redirect> {
        self.redirect
    }

    /// What helpers keep between calls.
    #[inline]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Looks at every instruction of interpreted runs from now on, or no longer.
    pub fn set_watcher(&mut self, watcher: Option<crate::watch::Watcher>) {
        self.dirty = true;
        self.watch = watcher;
    }

    /// What the user's own helpers need.
    pub fn user(&self) -> Option<&(dyn Any + Send)> {
        self.user.as_deref()
    }

    /// What the user's own helpers need, to change it.
    pub fn user_mut(&mut self) -> &mut Option<Box<dyn Any + Send>> {
        &mut self.user
    }

    /// Nested calls at this moment; zero in the main program.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Turns checks on or off. They stay on when the program, or one that it can reach by tail calls now, cannot do
    /// without; the answer is whether they are on.
    pub fn set_checked(&mut self, checked: bool) -> bool {
        self.dirty = true;
        self.memory.checked = checked || !self.program.chain_runs_unchecked();
        if self.memory.checked {
            self.memory.adopt_arrays(&mut self.native, &self.current);
        }
        self.memory.checked
    }

    /// Whether accesses are checked.
    #[inline]
    pub fn is_checked(&self) -> bool {
        self.memory.checked
    }

    /// Puts a packet in for the next runs.
    pub fn set_packet(&mut self, bytes: &[u8]) {
        let at_link = starts_at_link(self.program.prog_type(), Origin::TestRun);
        self.receive(bytes, at_link);
    }

    /// Puts metadata before the packet of the next runs.
    pub(crate) fn set_packet_meta(&mut self, bytes: &[u8]) {
        self.packet.set_meta(bytes);
        self.packet_moved();
    }

    /// Address and length of the packet, as the first two arguments of a program that takes plain memory.
    pub fn packet_args(&self) -> [u64; 5] {
        let (_, data, end) = self.packet.addresses();
        let data = if self.has_packet { data } else { 0 };
        [data, end.saturating_sub(data).min(self.packet.len() as u64), 0, 0, 0]
    }

    /// Refuses arguments that the verifier has not taken for granted, in runs without checks.
    #[inline]
    pub fn may_pass(&self, args: [u64; 5]) -> Result<(), Fault> {
        if self.memory.checked || args == [self.ctx.address(), 0, 0, 0, 0] {
            return Ok(());
        }
        Err(Fault::helper("a run without checks takes no arguments but its context"))
    }

    /// Whether the program works on a packet.
    pub fn has_packet(&self) -> bool {
        self.has_packet
    }

    /// The packet's edges moved: sets the context's pointers and the region anew.
    #[inline]
    pub(crate) fn packet_moved(&mut self) {
        self.packet.moved = false;
        let (meta, data, end) = self.packet.addresses();
        self.native.packet = Window { base: meta, len: end - meta };
        self.ctx.set_packet(meta, data, end);
    }

    /// Says that a run does more than to use registers and memory, so that there is something to reset before the next.
    #[inline]
    pub(crate) fn set_dirty(&mut self) {
        self.dirty = true;
    }

    /// Says that what runs now will call [`Run::set_dirty`] if need be.
    #[inline]
    pub(crate) fn set_clean(&mut self) {
        // Flow keys are those of one packet.
        self.dirty = self.objects.flow_keys().is_some();
    }

    /// Whether the next run begins at once, since the last one left nothing to reset.
    #[inline]
    pub fn is_clean(&self) -> bool {
        !self.dirty && !self.packet.moved
    }

    /// Gets ready for a run: engines call it first. The context keeps its fields, maps keep their contents.
    #[inline]
    pub(crate) fn begin(&mut self, callback: CallbackFn) {
        self.dirty = true;
        self.callback = callback;
        self.budget.begin();
        self.native.left = self.budget.first();
        self.native.cpu = self.world.cpu;
        self.native.status = STATUS_OK;
        self.tail_calls = 0;
        self.redirect = None;
        self.main_depth = 0;
        self.go_to_depth(0);
        self.memory.begin(&mut self.native);
        if self.state.holds_something() {
            crate::helpers::give_back(self);
        }
        if self.retired.len() | self.held.len() | self.memory.added_count() != 0 {
            self.forget();
        }
        if self.memory.checked {
            self.clear_frame(self.program.frame_bytes());
            crate::helpers::add_socket_regions(self);
            self.add_object_regions();
        }
        if self.objects.flow_keys().is_some() {
            self.begin_flow();
        }
        if self.has_packet {
            self.packet_moved();
        }
    }

    /// Lets a checked program use what its context points to.
    fn add_object_regions(&mut self) {
        for (base, len, what, writable) in self.objects.regions() {
            self.memory.add_region(&mut self.native, AddedRegion { base, len, what: What::Other(what), writable });
        }
    }

    /// Sets the flow keys for the packet.
    #[cold]
    fn begin_flow(&mut self) {
        let protocol = match self.packet.bytes() {
            [_, _, _, _, _, _, _, _, _, _, _, _, a, b, ..] => u16::from_be_bytes([*a, *b]),
            _ => 0,
        };
        self.objects.begin_flow(ETH_HLEN as u16, protocol);
    }

    /// Gets ready for a checked run after one that left the run clean.
    #[inline]
    pub(crate) fn begin_again(&mut self) {
        self.native.left = self.budget.first();
        self.memory.begin(&mut self.native);
        self.clear_frame(self.program.frame_bytes());
    }

    /// Gives back what an earlier run has left.
    #[cold]
    fn forget(&mut self) {
        self.memory.reset(&mut self.native);
        self.held.clear();
        if !self.retired.is_empty() {
            self.current = self.program.clone();
            self.memory.adopt(&mut self.native, &self.program);
            self.retired.clear();
        }
    }

    /// Address just above the frame of the main program; frame `n` ends `n * 512` bytes below.
    #[inline]
    pub fn stack_top(&self) -> u64 {
        self.stack.0.as_ptr() as u64 + STACK_BYTES as u64
    }

    /// The bytes of all frames, lowest address first; those of frames that are not in use hold what was left in them.
    pub fn stack(&self) -> &[u8] {
        &self.stack.0
    }

    /// `r10` of the function that runs now.
    #[inline]
    pub fn frame_pointer(&self) -> u64 {
        self.stack_top() - (self.depth * STACK_SIZE) as u64
    }

    /// In checked mode a new frame starts with zeros where the program can touch it.
    #[inline]
    pub(crate) fn clear_new_frame(&mut self) {
        self.clear_frame(self.current.frame_bytes());
    }

    /// Clears the upper bytes of the frame, which programs use first.
    #[inline]
    fn clear_frame(&mut self, bytes: usize) {
        if bytes != 0 {
            let end = STACK_BYTES - self.depth * STACK_SIZE;
            self.stack.0[end - bytes..end].fill(0);
        }
    }

    /// Keeps a map, such as the inner one of a lookup, until the run ends; the answer is its handle.
    pub(crate) fn hold(&mut self, map: Arc<Map>) -> u64 {
        self.dirty = true;
        let handle = crate::maps::address(&map);
        if self.map(handle).is_err() {
            self.held.push(map);
        }
        handle
    }

    /// Lets a checked program use memory that a helper returns: so many bytes from `base`, until the run ends. `what` is
    /// its name in faults.
    #[inline]
    pub(crate) fn add_region(&mut self, base: u64, len: u64, what: &'static str, writable: bool) {
        self.memory.add_region(&mut self.native, AddedRegion { base, len, what: What::Other(what), writable });
    }

    /// Copies out of the program's memory.
    pub(crate) fn read(&mut self, address: u64, out: &mut [u8]) -> Result<(), Fault> {
        if !out.is_empty() {
            if let Err(fault) = self.allow(address, out.len() as u64, false) {
                return self.copy_image(address, out).ok_or(fault);
            }
            // SAFETY: the bytes lie in a region of this run, or the verifier has proved that they do; `out` is the caller's own.
            unsafe { std::ptr::copy(address as usize as *const u8, out.as_mut_ptr(), out.len()) };
        }
        Ok(())
    }

    /// Copies into the program's memory.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        if !bytes.is_empty() {
            self.allow(address, bytes.len() as u64, true)?;
            // SAFETY: as in `read`; the region is writable.
            unsafe { std::ptr::copy(bytes.as_ptr(), address as usize as *mut u8, bytes.len()) };
        }
        Ok(())
    }

    /// Whether a program may access these bytes; unchecked programs always may.
    #[inline]
    pub(crate) fn allow(&mut self, address: u64, len: u64, write: bool) -> Result<(), Fault> {
        if !self.memory.checked || self.memory.allows(&mut self.native, address, len, write) {
            return Ok(());
        }
        Err(self.memory.fault(&self.native, &self.ctx, address, len, write).into())
    }

    /// Copies out of what a program finds at an address that is none of its memory: the memory that the world describes,
    /// where all of it is in one image, and the program's maps, which it sees as the kernel's structs.
    #[cold]
    pub(crate) fn copy_image(&self, address: u64, out: &mut [u8]) -> Option<()> {
        if let Some(image) = self.world.memory.get(address, out.len(), Space::Any) {
            out.copy_from_slice(image);
            return Some(());
        }
        let offset = |map: &&Arc<Map>| address.checked_sub(crate::maps::address(map)).map(|offset| offset as usize);
        let inside = |map: &&Arc<Map>| offset(map).is_some_and(|at| at + out.len() <= KERNEL_STRUCT);
        let map = self.maps().find(inside)?;
        let types = self.current.kernel_types()?;
        crate::maps::kernel_struct::read(map, types, offset(&map)?, out);
        Some(())
    }

    /// A checked load, zero-extended: the slow path, for everything that the engine's own windows do not cover.
    pub(crate) fn load(&mut self, address: u64, size: u64) -> Result<u64, FaultKind> {
        self.memory.load(&mut self.native, &self.ctx, address, size).or_else(|fault| {
            let mut bytes = [0; 8];
            let part = bytes.get_mut(..size as usize);
            part.and_then(|part| self.copy_image(address, part)).ok_or(fault)?;
            Ok(u64::from_le_bytes(bytes))
        })
    }

    /// A checked store of a register: the slow path.
    pub(crate) fn store(&mut self, address: u64, size: u64, value: u64) -> Result<(), FaultKind> {
        self.store_value(address, size, value, false)
    }

    /// A checked store of a constant: the slow path.
    pub(crate) fn store_constant(&mut self, address: u64, size: u64, value: u64) -> Result<(), FaultKind> {
        self.store_value(address, size, value, true)
    }

    fn store_value(&mut self, address: u64, size: u64, value: u64, constant: bool) -> Result<(), FaultKind> {
        self.memory.store(&mut self.native, &self.ctx, (address, size), value, constant).or_else(|fault| {
            let bytes = value.to_le_bytes();
            let part = bytes.get(..size as usize).ok_or(fault.clone())?;
            if self.world.memory.write(address, part, Space::Kernel) { Ok(()) } else { Err(fault) }
        })
    }

    /// The program that ran before the one that was entered last.
    pub(crate) fn entered_from(&self) -> Option<&Arc<Program>> {
        self.retired.last()
    }

    /// Makes a program the running one.
    pub(crate) fn enter(&mut self, program: Arc<Program>) {
        self.dirty = true;
        self.memory.adopt(&mut self.native, &program);
        let old = std::mem::replace(&mut self.current, program);
        self.retired.push(old);
    }
}
