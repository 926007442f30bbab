//! Loads, stores and atomic operations of the interpreter.

use crate::fault::{Fault, FaultKind};
use crate::helpers::heap;
use crate::memory::{load_raw, store_raw};
use crate::program::dense::Rmw;
use crate::run::Run;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// A load of `SIZE` bytes, zero-extended.
#[inline(always)]
pub(super) fn load<const CHECKED: bool, const SIZE: u64>(run: &mut Run, address: u64) -> Result<u64, Fault> {
    let (m, near) = (&run.memory, &run.native);
    if !CHECKED || near.packet.has(address, SIZE) || m.stack.has(address, SIZE) || near.recent.has(address, SIZE) {
        // SAFETY: the bytes lie in a region of the run, or the verifier has proved that they do.
        return Ok(unsafe { load_raw(address, SIZE) });
    }
    run.load(address, SIZE).map_err(Fault::from)
}

/// A store of the low `SIZE` bytes of a register, or of a constant.
#[inline(always)]
pub(super) fn store<const CHECKED: bool, const SIZE: u64, const CONSTANT: bool>(
    run: &mut Run,
    address: u64,
    value: u64,
) -> Result<(), Fault> {
    let (m, near) = (&run.memory, &run.native);
    if !CHECKED || m.stack.has(address, SIZE) || near.recent.has(address, SIZE) || near.may_write_packet(address, SIZE)
    {
        // SAFETY: the bytes lie in a writable region of the run, or the verifier has proved that they do.
        unsafe { store_raw(address, SIZE, value) };
        return Ok(());
    }
    if CONSTANT {
        return run.store_constant(address, SIZE, value).map_err(Fault::from);
    }
    run.store(address, SIZE, value).map_err(Fault::from)
}

/// A load that the kernel would guard against stale pointers: what is in no region reads as zero.
pub(crate) fn probe(run: &mut Run, address: u64, how: u64) -> u64 {
    let size = how & 15;
    // Memory of kernel objects is known only as regions, so that they are kept even without other checks; objects of
    // programs are known to their heap.
    let value = match run.load(address, size) {
        Ok(value) => value,
        // SAFETY: memory of objects is never given back.
        Err(_) if !run.memory.checked && heap::contains(address, size) => unsafe { load_raw(address, size) },
        Err(_) => 0,
    };
    extend(value, how)
}

/// A load from a map as the kernel's struct; `offset` is negative for nothing that is verified.
pub(crate) fn load_map(run: &Run, handle: u64, offset: i32, how: u64) -> u64 {
    let Ok(map) = run.map(handle) else { return 0 };
    let mut bytes = [0; 8];
    if let (Ok(offset), Some(types)) = (usize::try_from(offset), run.current().kernel_types()) {
        crate::maps::kernel_struct::read(map, types, offset, &mut bytes[..(how & 15) as usize]);
    }
    let size = (how & 15) as usize;
    let little = cfg!(target_endian = "little");
    let value = u64::from_ne_bytes(bytes) >> if little { 0 } else { 64 - 8 * size.clamp(1, 8) };
    extend(value, how)
}

/// Sign-extends a loaded value where that is asked for.
fn extend(value: u64, how: u64) -> u64 {
    let size = how & 15;
    match (how & 16 != 0, size) {
        (false, _) => value,
        (true, 1) => value as i8 as i64 as u64,
        (true, 2) => value as i16 as i64 as u64,
        (true, 4) => value as i32 as i64 as u64,
        (true, _) => value,
    }
}

/// A store into an arena, which is lost where no page is; or to a number of the context that takes not every value.
pub(crate) fn store_arena(run: &mut Run, address: u64, size: u64, value: u64) {
    if run.ctx.offset(address).is_some() {
        // The verifier has seen that there is such a number.
        let _ = run.store(address, size, value);
        return;
    }
    if let Some(Some(host)) = run.memory.arena(address, size) {
        // SAFETY: the arena's memory lives as long as the map, which the run holds.
        unsafe { store_raw(host, size, value) };
    }
}

/// Where an atomic operation's old value goes.
#[derive(Clone, Copy)]
pub(crate) enum Fetch {
    Nothing,
    Source,
    R0,
}

/// Where an atomic access goes; `None` into an arena where no page is.
fn checked_address<const CHECKED: bool>(
    run: &mut Run,
    address: u64,
    size: u64,
    write: bool,
    arena: bool,
) -> Result<Option<usize>, Fault> {
    let mut to = Some(address);
    if arena {
        to = run.memory.arena(address, size).flatten();
    } else if CHECKED && let Err(fault) = run.allow(address, size, write) {
        to = run.memory.arena(address, size).ok_or(fault)?;
    }
    // The verifier demands alignment too, so this costs little and keeps the operations below sound.
    if to.is_some_and(|a| !a.is_multiple_of(size)) {
        return Err(FaultKind::Misaligned { address, size }.into());
    }
    Ok(to.map(|a| a as usize))
}

/// An atomic read-modify-write; the old value and where it goes.
pub(crate) fn atomic<const CHECKED: bool>(
    run: &mut Run,
    address: u64,
    how: u64,
    operand: u64,
    expected: u64,
) -> Result<(u64, Fetch), Fault> {
    use Ordering::{Relaxed, SeqCst};
    let wide = how & Rmw::WIDE != 0;
    let fetch = how & Rmw::FETCH != 0;
    let to = match (how & 7, fetch) {
        (5, _) => Fetch::R0,
        (4, _) | (_, true) => Fetch::Source,
        _ => Fetch::Nothing,
    };
    let size = if wide { 8 } else { 4 };
    let Some(p) = checked_address::<CHECKED>(run, address, size, true, how & Rmw::ARENA != 0)? else {
        return Ok((0, to));
    };
    // As in the kernel, an operation that returns nothing orders nothing.
    let order = if fetch { SeqCst } else { Relaxed };
    macro_rules! rmw {
        ($atomic:ty, $word:ty) => {{
            // SAFETY: the bytes are valid, as just checked or proved, and aligned.
            let a = unsafe { <$atomic>::from_ptr(p as *mut $word) };
            let v = operand as $word;
            u64::from(match how & 7 {
                0 => a.fetch_add(v, order),
                1 => a.fetch_or(v, order),
                2 => a.fetch_and(v, order),
                3 => a.fetch_xor(v, order),
                4 => a.swap(v, SeqCst),
                _ => match a.compare_exchange(expected as $word, v, SeqCst, SeqCst) {
                    Ok(old) | Err(old) => old,
                },
            })
        }};
    }
    let old = if wide { rmw!(AtomicU64, u64) } else { rmw!(AtomicU32, u32) };
    Ok((old, to))
}

/// `load_acquire`, zero-extended.
pub(crate) fn load_acquire<const CHECKED: bool>(run: &mut Run, address: u64, how: u64) -> Result<u64, Fault> {
    let size = how & 15;
    let Some(p) = checked_address::<CHECKED>(run, address, size, false, how & Rmw::ARENA != 0)? else { return Ok(0) };
    // SAFETY: the bytes are valid and aligned.
    Ok(unsafe {
        match size {
            1 => AtomicU8::from_ptr(p as *mut u8).load(Ordering::Acquire).into(),
            2 => AtomicU16::from_ptr(p as *mut u16).load(Ordering::Acquire).into(),
            4 => AtomicU32::from_ptr(p as *mut u32).load(Ordering::Acquire).into(),
            _ => AtomicU64::from_ptr(p as *mut u64).load(Ordering::Acquire),
        }
    })
}

/// `store_release`.
pub(crate) fn store_release<const CHECKED: bool>(run: &mut Run, address: u64, how: u64, v: u64) -> Result<(), Fault> {
    let size = how & 15;
    let Some(p) = checked_address::<CHECKED>(run, address, size, true, how & Rmw::ARENA != 0)? else { return Ok(()) };
    // SAFETY: the bytes are valid and aligned.
    unsafe {
        match size {
            1 => AtomicU8::from_ptr(p as *mut u8).store(v as u8, Ordering::Release),
            2 => AtomicU16::from_ptr(p as *mut u16).store(v as u16, Ordering::Release),
            4 => AtomicU32::from_ptr(p as *mut u32).store(v as u32, Ordering::Release),
            _ => AtomicU64::from_ptr(p as *mut u64).store(v, Ordering::Release),
        }
    }
    Ok(())
}

/// Offsets of the legacy packet loads below this count from the network header.
const NET_OFFSET: i32 = -0x10_0000;
/// Offsets below this count from the link header.
const LINK_OFFSET: i32 = -0x20_0000;

/// A legacy packet load, in host order; `None` outside the packet. Headers that were taken from its front are still
/// there, for loads that count from them.
pub(crate) fn packet_load(run: &Run, offset: i32, size: usize) -> Option<u64> {
    let bytes = if offset >= 0 {
        let start = offset as usize;
        run.packet.bytes().get(start..start.checked_add(size)?)?
    } else if offset >= NET_OFFSET {
        let network = if is_skb(run) { run.state.skb.network } else { run.network_offset as i64 };
        run.packet.around(network + i64::from(offset - NET_OFFSET), size)?
    } else if offset >= LINK_OFFSET {
        run.packet.around(run.state.skb.mac + i64::from(offset - LINK_OFFSET), size)?
    } else {
        return None;
    };
    Some(bytes.iter().fold(0, |v, b| v << 8 | u64::from(*b)))
}

fn is_skb(run: &Run) -> bool {
    run.ctx.name() == "__sk_buff"
}
