//! The memory that a run may use, and the checks of checked mode.
//!
//! Addresses are real ones, as in the kernel. In checked mode every access must fall into one region: the frames of the
//! stack, the context, the packet, a map's value, or memory that a helper has added. Outside of them nothing is touched.

use crate::context::{CtxMemory, Translated};
use crate::fault::FaultKind;
use crate::generations::Generations;
use crate::maps::{Kind, Map};
use crate::native::RunContext;
use crate::program::Program;
use crate::regions::{AddedRegion, NearestRegion, Region, RegionKind, Regions, What, Window};
use ebpfkit_abi::limits::{MAX_CALL_FRAMES, MAX_TAIL_CALLS};
use std::sync::Arc;

/// Frames of all programs of a run together, at most.
pub const MAX_DEPTH: usize = MAX_CALL_FRAMES * (MAX_TAIL_CALLS as usize + 1);

/// Bytes of stack that all frames have together.
pub const STACK_BYTES: usize = ebpfkit_isa::STACK_SIZE * MAX_DEPTH;

/// Bytes on each side of an arena that belong to it and hold nothing: as far as the offset of an instruction leads.
const ARENA_GUARD: u64 = 1 << 15;

/// Regions further than this from a bad address are not named in its fault.
const NEAR: u64 = 1 << 20;

/// The regions of one run, but for those that native code looks at, which stand in its [`RunContext`].
#[derive(Debug)]
pub(crate) struct Memory {
    /// Accesses are checked.
    pub(crate) checked: bool,
    /// Frames in use.
    pub(crate) stack: Window,
    /// Fixed region of the last access to one; writable. Global data stays at hand while map values come and go.
    pub(crate) recent_fixed: Window,
    /// Region of the last load from one that may only be read.
    pub(crate) recent_read: Window,
    /// Added by helpers.
    added: Regions,
    /// Elements that native code has found itself.
    generations: Generations,
    /// Known since the program was loaded, by address.
    pub(crate) fixed: Arc<[Region]>,
    arena: Option<Arc<Map>>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            checked: true,
            stack: Window::default(),
            recent_fixed: Window::default(),
            recent_read: Window::default(),
            added: Regions::default(),
            generations: Generations::default(),
            fixed: Arc::new([]),
            arena: None,
        }
    }

    /// Takes over what a program brings along.
    pub(crate) fn adopt(&mut self, native: &mut RunContext, program: &Program) {
        self.fixed = program.fixed_regions().clone();
        self.recent_fixed = Window::default();
        self.recent_read = Window::default();
        self.arena = program.arena().cloned();
        if self.checked {
            self.adopt_arrays(native, program);
        }
    }

    /// Gets memory for the generation marks of a program's arrays.
    pub(crate) fn adopt_arrays(&mut self, native: &mut RunContext, program: &Program) {
        if let Some(address) = self.generations.adopt(program.array_generations()) {
            native.generations = address;
        }
    }

    /// Takes back what was found in an earlier run.
    #[inline]
    pub(crate) fn begin(&mut self, native: &mut RunContext) {
        self.forget_recent(native);
        native.generation = self.generations.reset();
    }

    /// Where an access to the arena goes: the outer `None` when the address is none of an arena, the inner one when no
    /// page is there.
    pub(crate) fn arena(&self, address: u64, size: u64) -> Option<Option<u64>> {
        let Kind::Arena(arena) = self.arena.as_ref()?.kind() else { return None };
        // Offsets of instructions lead from the arena's ends into its guards, where nothing ever is.
        let (before, behind) = (address.wrapping_neg(), address.wrapping_sub(1 << 32));
        if before.wrapping_sub(1) < ARENA_GUARD || behind < ARENA_GUARD {
            return Some(None);
        }
        let upper = address >> 32;
        if upper != 0 && upper != arena.user_start() >> 32 {
            return None;
        }
        let (first, last) = (address as u32, (address + size - 1) as u32);
        let host = arena.host(first);
        // The bytes may end behind the arena's end, which is where it begins.
        let is_whole = arena.host(last) == host.map(|first| first + size - 1);
        Some(host.filter(|_| is_whole && arena.is_present(first) && arena.is_present(last)))
    }

    /// How many regions helpers have added.
    #[inline]
    pub(crate) fn added_count(&self) -> usize {
        self.added.len()
    }

    /// Forgets which regions were used last, as far as they may be gone.
    #[inline]
    pub(crate) fn forget_recent(&mut self, native: &mut RunContext) {
        native.recent = Window::default();
        self.recent_read = Window::default();
    }

    #[inline]
    fn forget_recent_at(&mut self, native: &mut RunContext, base: u64) {
        for recent in [&mut native.recent, &mut self.recent_read] {
            if recent.base == base {
                *recent = Window::default();
            }
        }
    }

    /// Forgets what helpers have added.
    pub(crate) fn reset(&mut self, native: &mut RunContext) {
        self.forget_recent(native);
        self.added.clear();
    }

    /// Adds a region, or replaces the one that starts at the same address. Nothing happens in unchecked mode.
    #[inline]
    pub(crate) fn add_region(&mut self, native: &mut RunContext, region: AddedRegion) {
        if !self.checked || region.len == 0 || native.recent == region.window() {
            return;
        }
        // It may take the place of another.
        self.forget_recent_at(native, region.base);
        if region.writable {
            native.recent = region.window();
        } else {
            self.recent_read = region.window();
        }
        self.added.insert(region);
    }

    /// Removes a region; later accesses to it are faults.
    pub(crate) fn remove_region(&mut self, native: &mut RunContext, base: u64) {
        self.forget_recent_at(native, base);
        self.added.remove(base);
    }

    /// The added region that holds an address, and whether it may be written.
    fn find_added(&self, address: u64) -> Option<(Window, bool)> {
        let region = self.added.below(address).filter(|l| l.window().has(address, 1)).copied();
        let region = region.or_else(|| self.generations.find(address))?;
        Some((region.window(), region.writable))
    }

    /// The fixed region that holds an address, and whether it may be written.
    fn find_fixed(&self, address: u64) -> Option<(Window, bool)> {
        let after = self.fixed.partition_point(|r| r.base <= address);
        let region = self.fixed.get(after.checked_sub(1)?).filter(|r| r.window().has(address, 1))?;
        Some((region.window(), region.writable))
    }

    /// Whether bytes lie inside a region that was added or is fixed.
    pub(crate) fn holds(&self, address: u64, size: u64) -> bool {
        let region = self.find_added(address).or_else(|| self.find_fixed(address));
        region.is_some_and(|(window, _)| window.has(address, size))
    }

    /// Whether an access is inside one region; remembers the region.
    pub(crate) fn allows(&mut self, native: &mut RunContext, address: u64, size: u64, write: bool) -> bool {
        if size == 0 || self.stack.has(address, size) || native.recent.has(address, size) {
            return true;
        }
        if native.packet.has(address, size) {
            return !write || native.packet_writable;
        }
        if self.recent_fixed.has(address, size) {
            native.recent = self.recent_fixed;
            return true;
        }
        if !write && self.recent_read.has(address, size) {
            return true;
        }
        self.added.sort_if_many();
        let added = self.find_added(address);
        let is_fixed = added.is_none();
        let Some((window, writable)) = added.or_else(|| self.find_fixed(address)) else { return false };
        if !window.has(address, size) || write && !writable {
            return false;
        }
        if writable {
            native.recent = window;
            if is_fixed {
                self.recent_fixed = window;
            }
        } else {
            self.recent_read = window;
        }
        true
    }

    /// The fault of an access that is not allowed.
    #[cold]
    pub(crate) fn fault(
        &self,
        native: &RunContext,
        ctx: &CtxMemory,
        address: u64,
        size: u64,
        write: bool,
    ) -> FaultKind {
        if let Some(offset) = ctx.offset(address)
            && size <= ctx.size() - offset
        {
            return FaultKind::BadContextAccess { layout: ctx.name(), offset, size, write };
        }
        FaultKind::BadAccess { address, size, write, nearest: self.nearest(native, ctx, address, size, write) }
    }

    fn nearest(&self, native: &RunContext, ctx: &CtxMemory, address: u64, size: u64, write: bool) -> NearestRegion {
        let own = [
            (self.stack, RegionKind::Stack, true),
            (native.packet, RegionKind::Packet, native.packet_writable),
            (ctx.window(), RegionKind::Context, true),
        ];
        let own = own.into_iter().map(|(w, kind, writable)| Region { base: w.base, len: w.len, kind, writable });
        let distance = |r: &Region| {
            if address < r.base { r.base - address } else { address.saturating_sub(r.base + r.len) }
        };
        let nearest = own
            .chain(self.added.iter().copied().chain(self.generations.iter()).map(region))
            .chain(self.fixed.iter().cloned())
            .filter(|r| r.len != 0)
            // Of two at the same distance the lower one, in whatever order they were added.
            .min_by_key(|r| (distance(r), r.base))
            .filter(|r| distance(r) < NEAR);
        match nearest {
            Some(r) => NearestRegion {
                offset: address.wrapping_sub(r.base) as i64,
                read_only: write && !r.writable && r.window().has(address, size),
                region: Some((r.kind, r.len)),
            },
            None => NearestRegion { region: None, offset: 0, read_only: false },
        }
    }

    /// A checked load, zero-extended: the slow path, for everything that the engine's own windows do not cover.
    pub(crate) fn load(
        &mut self,
        native: &mut RunContext,
        ctx: &CtxMemory,
        address: u64,
        size: u64,
    ) -> Result<u64, FaultKind> {
        if let Some(Translated { address, size }) = ctx.translate(address, size, false) {
            // SAFETY: the context owns the translated bytes.
            return Ok(unsafe { load_raw(address, size) });
        }
        if self.allows(native, address, size, false) {
            // SAFETY: the bytes lie inside a region of this run.
            return Ok(unsafe { load_raw(address, size) });
        }
        match self.arena(address, size) {
            // SAFETY: the arena's memory lives as long as the map, which is held here.
            Some(Some(host)) => Ok(unsafe { load_raw(host, size) }),
            Some(None) => Ok(0),
            None => Err(self.fault(native, ctx, address, size, false)),
        }
    }

    /// A byte as a load would find it; nothing is remembered of the look. Fields of the context are read in the sizes in
    /// which programs may read them.
    pub(crate) fn peek(&self, native: &RunContext, ctx: &CtxMemory, address: u64) -> Option<u8> {
        if ctx.offset(address).is_some() {
            return [8u64, 4, 2, 1].into_iter().find_map(|size| {
                let start = address & !(size - 1);
                let Translated { address: place, size } = ctx.translate(start, size, false)?;
                // SAFETY: the context owns the translated bytes.
                let value = unsafe { load_raw(place, size) };
                Some(value.to_le_bytes()[(address - start) as usize])
            });
        }
        let own = self.stack.has(address, 1) || native.packet.has(address, 1) || self.holds(address, 1);
        let place = if own { Some(address) } else { self.arena(address, 1).flatten() };
        // SAFETY: the byte lies inside a region of this run, or in the arena, which is held here.
        place.map(|place| unsafe { load_raw(place, 1) } as u8)
    }

    /// A checked store: the slow path. Whether the instruction has the value itself matters to some fields of contexts.
    pub(crate) fn store(
        &mut self,
        native: &mut RunContext,
        ctx: &CtxMemory,
        (address, size): (u64, u64),
        value: u64,
        constant: bool,
    ) -> Result<(), FaultKind> {
        let target = if let Some(target) = ctx.translate(address, size, true) {
            if ctx.ignores(address, value, constant) {
                return Ok(());
            }
            target
        } else if self.allows(native, address, size, true) {
            Translated { address, size }
        } else {
            match self.arena(address, size) {
                Some(Some(host)) => Translated { address: host, size },
                Some(None) => return Ok(()),
                None => return Err(self.fault(native, ctx, address, size, true)),
            }
        };
        // SAFETY: the bytes lie inside a region of this run, or the context owns them.
        unsafe { store_raw(target.address, target.size, value) };
        Ok(())
    }
}

/// An added region, with its name.
fn region(added: AddedRegion) -> Region {
    let kind = match added.what {
        // SAFETY: the run keeps the maps whose values it has added for as long as their regions stand.
        What::Value(map) => RegionKind::MapValue(unsafe { &*(map as *const Map) }.info().name.clone()),
        What::Other(what) => RegionKind::Other(what),
    };
    Region { base: added.base, len: added.len, kind, writable: added.writable }
}

/// Reads 1, 2, 4 or 8 bytes.
///
/// # Safety
/// The bytes are valid for reads.
#[inline(always)]
pub(crate) unsafe fn load_raw(address: u64, size: u64) -> u64 {
    let p = address as usize;
    // SAFETY: the caller answers for the bytes; no alignment is needed.
    unsafe {
        match size {
            1 => u64::from((p as *const u8).read()),
            2 => u64::from((p as *const u16).read_unaligned()),
            4 => u64::from((p as *const u32).read_unaligned()),
            _ => (p as *const u64).read_unaligned(),
        }
    }
}

/// Writes the low 1, 2, 4 or 8 bytes.
///
/// # Safety
/// The bytes are valid for writes.
#[inline(always)]
pub(crate) unsafe fn store_raw(address: u64, size: u64, value: u64) {
    let p = address as usize;
    // SAFETY: the caller answers for the bytes; no alignment is needed.
    unsafe {
        match size {
            1 => (p as *mut u8).write(value as u8),
            2 => (p as *mut u16).write_unaligned(value as u16),
            4 => (p as *mut u32).write_unaligned(value as u32),
            _ => (p as *mut u64).write_unaligned(value),
        }
    }
}
