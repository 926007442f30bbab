//! What all helpers need: arguments as maps and bytes, results as registers.

use super::heap;
use crate::maps::{Map, mem};
use crate::regions::{AddedRegion, What};
use crate::{Errno, Fault, FaultKind, Run, Space};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::NonNull;

/// What a helper gives.
pub(crate) type Ret = Result<u64, Fault>;

/// Zero, or an error number as the kernel returns it.
pub(crate) fn status(result: Result<(), Errno>) -> Ret {
    Ok(result.map_or_else(Errno::ret, |()| 0))
}

/// A number, or an error number as the kernel returns it.
pub(crate) fn number(result: Result<u64, Errno>) -> Ret {
    Ok(result.unwrap_or_else(Errno::ret))
}

/// The error number as a result.
pub(crate) fn fail(errno: Errno) -> Ret {
    Ok(errno.ret())
}

/// The map behind a handle that a program passed where the verifier takes nothing but maps.
#[inline]
pub(crate) fn proved_map<'m>(run: &Run, handle: u64) -> Result<&'m Map, Fault> {
    if run.is_checked() {
        return map(run, handle);
    }
    // SAFETY: the verifier has proved that the register holds a map of the program, or one that it was given.
    Ok(unsafe { &*(handle as usize as *const Map) })
}

/// The map behind a handle.
pub(crate) fn map<'m>(run: &Run, handle: u64) -> Result<&'m Map, Fault> {
    // SAFETY: the run keeps its programs, their maps and what it holds until the next run begins; helpers use the map
    // only while they are called.
    run.map(handle).map(|m| unsafe { &*std::sync::Arc::as_ptr(m) })
}

/// Bytes that fit beside the arguments without an allocation.
const SHORT: usize = 128;

/// A copy of bytes of the program's memory.
pub(crate) struct Copied {
    /// The first `len` are there, unless they are in `long`.
    short: MaybeUninit<[u8; SHORT]>,
    long: Vec<u8>,
    len: usize,
}

impl Deref for Copied {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.len > SHORT {
            return &self.long;
        }
        // SAFETY: `copy` has written so many.
        unsafe { std::slice::from_raw_parts(self.short.as_ptr().cast(), self.len) }
    }
}

/// Copies bytes that the program points to into `to`, which is not empty; they may be shared with other threads.
#[inline]
pub(crate) fn copy_to(run: &mut Run, address: u64, to: &mut [u8]) -> Result<(), Fault> {
    if let Err(fault) = run.allow(address, to.len() as u64, false) {
        return run.copy_image(address, to).ok_or(fault);
    }
    // SAFETY: the bytes lie in a region of this run, or the verifier has proved that they do.
    unsafe { mem::load(address as usize as *const u8, to) };
    Ok(())
}

/// Copies bytes that the program points to; they may be shared with other threads.
#[inline]
pub(crate) fn copy(run: &mut Run, address: u64, len: usize) -> Result<Copied, Fault> {
    let mut copied = Copied { short: MaybeUninit::uninit(), long: Vec::new(), len };
    if len == 0 {
        return Ok(copied);
    }
    if let Err(fault) = run.allow(address, len as u64, false) {
        // The world's memory is bounded by what it holds, whatever length the program names.
        if run.world.memory.get(address, len, Space::Any).is_none() {
            return Err(fault);
        }
        copied.long.resize(len, 0);
        run.copy_image(address, &mut copied.long).ok_or(fault)?;
        if len <= SHORT {
            // SAFETY: `len` bytes fit into `short`.
            unsafe { mem::copy_out(copied.long.as_ptr(), copied.short.as_mut_ptr().cast(), len) };
        }
        return Ok(copied);
    }
    charge(run, len);
    let from = address as usize as *const u8;
    // SAFETY: the bytes lie in a region of this run, or the verifier has proved that they do; so many fit.
    unsafe {
        if len > SHORT {
            copied.long.resize(len, 0);
            mem::load(from, &mut copied.long);
        } else {
            mem::copy_out(from, copied.short.as_mut_ptr().cast(), len);
        }
    }
    Ok(copied)
}

/// Copies bytes into memory that the program points to, which may be shared with other threads.
pub(crate) fn write(run: &mut Run, address: u64, bytes: &[u8]) -> Result<(), Fault> {
    if !bytes.is_empty() {
        run.allow(address, bytes.len() as u64, true)?;
        charge(run, bytes.len());
        // SAFETY: the bytes lie in a writable region of this run, or the verifier has proved that they do.
        unsafe { mem::store(address as usize as *mut u8, bytes) };
    }
    Ok(())
}

/// Zeroes memory that the program points to.
pub(crate) fn clear(run: &mut Run, address: u64, len: u64) -> Result<(), Fault> {
    fill(run, address, len, 0)
}

/// Sets all bytes of memory that the program points to.
pub(crate) fn fill(run: &mut Run, address: u64, len: u64, value: u8) -> Result<(), Fault> {
    if len != 0 {
        run.allow(address, len, true)?;
        charge(run, len as usize);
        // SAFETY: as in `write`.
        unsafe { mem::fill(address as usize as *mut u8, len as usize, value) };
    }
    Ok(())
}

/// Writes bytes at the start of a buffer of the program and zeros into its rest. A buffer that is too short gets what
/// fits. Nothing is allocated for the rest, whatever size the program names.
pub(crate) fn write_padded(run: &mut Run, address: u64, size: u64, bytes: &[u8]) -> Result<(), Fault> {
    clear(run, address, size)?;
    write(run, address, &bytes[..bytes.len().min(usize::try_from(size).unwrap_or(usize::MAX))])
}

/// Bytes that one instruction of the budget pays for.
const BYTES_PER_STEP: usize = 64;

/// Takes from the budget what work on many bytes costs, so that a budget bounds the time of a run. When it is used up
/// the run ends at its next jump or call.
#[inline]
pub(crate) fn charge(run: &mut Run, bytes: usize) {
    if bytes > SHORT {
        run.charge((bytes / BYTES_PER_STEP) as u64);
    }
}

/// A 32-bit number of the program's memory.
pub(crate) fn read_u32(run: &mut Run, address: u64) -> Result<u32, Fault> {
    let mut bytes = [0; 4];
    run.read(address, &mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
}

/// A 64-bit number of the program's memory.
pub(crate) fn read_u64(run: &mut Run, address: u64) -> Result<u64, Fault> {
    let mut bytes = [0; 8];
    run.read(address, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Lets the program use a value of a map that the run keeps.
#[inline]
pub(crate) fn add_value_region(run: &mut Run, map: &Map, value: NonNull<u8>) -> u64 {
    let base = value.as_ptr() as u64;
    if run.is_checked() {
        let writable = map.info().flags & crate::maps::check::flag::RDONLY_PROG == 0;
        let what = What::Value(std::ptr::from_ref(map) as u64);
        run.memory.add_region(&mut run.native, AddedRegion { base, len: map.value_size() as u64, what, writable });
    }
    base
}

/// Lets the program use an object of the heap: its own may be written, those of the kernel only be read.
pub(crate) fn add_object_region(run: &mut Run, object: heap::Found) {
    let (what, writable) = match object.kind {
        heap::Kind::Own | heap::Kind::Percpu => ("an allocated object", true),
        heap::Kind::Cpumask => ("a set of CPUs", false),
        // Programs may write its mark, which helpers know the place of.
        heap::Kind::Connection => ("a connection", false),
        heap::Kind::Kernel => ("a struct of the kernel", false),
        heap::Kind::Iterator | heap::Kind::Argument => return,
    };
    add_region(run, object.base, object.len as u64, what, writable);
}

/// Memory for an object that a program asks for, within the world's limit; zero, and counted as lost, without it.
pub(crate) fn allocate(run: &mut Run, kind: heap::Kind, len: usize) -> u64 {
    let most = run.world.limits.objects;
    let address = match kind {
        heap::Kind::Percpu => heap::alloc_percpu(len, run.world.cpus, most),
        _ => heap::alloc_within(kind, len, most),
    };
    if address == 0 {
        run.state.lost.objects += 1;
    }
    address
}

/// Takes an owner from an object; with the last one the program may not use it any more. False when there is no such
/// living object.
pub(crate) fn release_object(run: &mut Run, kind: heap::Kind, address: u64) -> bool {
    let Some(object) = heap::object_at(address) else { return false };
    let released = heap::release(kind, address);
    if released && heap::object_at(address).is_none() {
        remove_region(run, object.base);
    }
    released
}

/// Removes a region that the program may no longer access.
pub(crate) fn remove_region(run: &mut Run, base: u64) {
    run.memory.remove_region(&mut run.native, base);
}

/// Lets the program use other memory.
pub(crate) fn add_region(run: &mut Run, base: u64, len: u64, what: &'static str, writable: bool) {
    run.add_region(base, len, what, writable);
}

/// Whether an address is memory of this run in any mode: what probing reads may look at.
pub(crate) fn is_known(run: &Run, address: u64, len: u64) -> bool {
    if len == 0 {
        return true;
    }
    let memory = &run.memory;
    // Native code without checks has its frames on the thread's stack: between here and where it was entered.
    let here = 0u8;
    let bottom = std::ptr::from_ref(std::hint::black_box(&here)) as u64;
    let top = run.native.stack_top;
    let is_unchecked_native = run.native.entry.is_some() && !run.is_checked();
    if is_unchecked_native && address > bottom && address < top && len <= top - address {
        return true;
    }
    let own =
        memory.stack.has(address, len) || run.native.packet.has(address, len) || run.ctx.window().has(address, len);
    own || memory.holds(address, len)
        || run.current().maps().iter().any(|m| m.contains(address, len))
        || heap::contains(address, len)
}

/// A fault for an argument that no verified program passes.
pub(crate) fn bad(what: &str) -> Fault {
    FaultKind::Helper(what.to_owned()).into()
}
