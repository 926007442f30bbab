//! What native code calls. A function that fails leaves the fault in the run and sets its status.

use crate::engine;
use ebpfkit_isa::AtomicOp;
use ebpfkit_vm::native::{EngineRun, STATUS_TAIL_CALL};
use ebpfkit_vm::{Fault, FaultKind, HelperFn};

/// What [`packet_load`] returns outside the packet.
pub(crate) const NO_PACKET: u64 = u64::MAX;

/// An atomic operation in a number, for [`atomic`].
pub(crate) fn atomic_number(op: AtomicOp, fetch: bool, wide: bool, arena: bool) -> i64 {
    let op = ATOMICS.iter().position(|o| *o == op).unwrap_or_default() as i64;
    op | i64::from(fetch) << 8 | i64::from(wide) << 9 | i64::from(arena) << 10
}

const ATOMICS: [AtomicOp; 6] =
    [AtomicOp::Add, AtomicOp::Or, AtomicOp::And, AtomicOp::Xor, AtomicOp::Xchg, AtomicOp::Cmpxchg];

/// The result for native code; a fault is left in the run.
fn value_or_fail(run: &mut EngineRun, result: Result<u64, Fault>) -> u64 {
    match result {
        Ok(v) => v,
        Err(fault) => {
            run.fail(fault);
            0
        }
    }
}

/// What may touch memory or fail: the run is dirty afterwards, and a fault is left in it.
///
/// # Safety
///
/// As for all functions below: native code passes the run that it was entered with, and holds no reference into it.
#[inline]
unsafe fn with_run(run: *mut EngineRun, f: impl FnOnce(&mut EngineRun) -> Result<u64, Fault>) -> u64 {
    let dirty = |run: &mut EngineRun| {
        run.set_dirty();
        f(run)
    };
    // SAFETY: the caller's promise.
    unsafe { with_clean_run(run, dirty) }
}

/// As [`with_run`], for what leaves nothing to reset but a fault.
///
/// # Safety
///
/// As for [`with_run`].
#[inline]
unsafe fn with_clean_run(run: *mut EngineRun, f: impl FnOnce(&mut EngineRun) -> Result<u64, Fault>) -> u64 {
    // SAFETY: the caller's promise.
    let run = unsafe { &mut *run };
    let result = f(run);
    value_or_fail(run, result)
}

// SAFETY of all functions below: see [`with_run`].

// The pointer is only carried through, so that its calling convention does not matter.
#[allow(improper_ctypes_definitions)]
pub(crate) unsafe extern "C" fn helper(
    run: *mut EngineRun,
    function: HelperFn,
    r1: u64,
    r2: u64,
    r3: u64,
    r4: u64,
    r5: u64,
) -> u64 {
    // SAFETY: see above; the program that runs calls the helper, and without checks the verifier has proved the arguments.
    unsafe { with_run(run, |run| function(run.as_run(), [r1, r2, r3, r4, r5])) }
}

pub(crate) unsafe extern "C" fn load(run: *mut EngineRun, address: u64, size: u64) -> u64 {
    // SAFETY: see above.
    unsafe { with_run(run, |run| run.load(address, size)) }
}

pub(crate) unsafe extern "C" fn store(run: *mut EngineRun, address: u64, size: u64, value: u64) -> u64 {
    // SAFETY: see above.
    unsafe { with_run(run, |run| run.store(address, size, value).map(|()| 0)) }
}

pub(crate) unsafe extern "C" fn store_constant(run: *mut EngineRun, address: u64, size: u64, value: u64) -> u64 {
    // SAFETY: see above.
    unsafe { with_run(run, |run| run.store_constant(address, size, value).map(|()| 0)) }
}

/// Whether the bytes lie in one region and may be accessed.
pub(crate) unsafe extern "C" fn may_access(run: *mut EngineRun, address: u64, size: u64, write: u64) -> u64 {
    // SAFETY: see above.
    unsafe { &mut *run }.may_access(address, size, write != 0).into()
}

pub(crate) unsafe extern "C" fn store_arena(run: *mut EngineRun, address: u64, size: u64, value: u64) {
    // SAFETY: see above.
    unsafe { &mut *run }.store_arena(address, size, value);
}

pub(crate) unsafe extern "C" fn probe(run: *mut EngineRun, address: u64, size: u64, signed: u64) -> u64 {
    // SAFETY: see above.
    unsafe { &mut *run }.probe(address, size, signed != 0)
}

pub(crate) unsafe extern "C" fn load_map(run: *mut EngineRun, map: u64, offset: u64, size: u64, signed: u64) -> u64 {
    // SAFETY: see above.
    unsafe { &*run }.load_map(map, offset as i32, size, signed != 0)
}

pub(crate) unsafe extern "C" fn packet_load(run: *mut EngineRun, offset: u64, size: u64) -> u64 {
    // SAFETY: see above.
    unsafe { &mut *run }.packet_load(offset as i32, size as usize).unwrap_or(NO_PACKET)
}

pub(crate) unsafe extern "C" fn atomic(
    run: *mut EngineRun,
    address: u64,
    how: u64,
    operand: u64,
    expected: u64,
) -> u64 {
    let op = ATOMICS.get((how & 0xff) as usize).copied().unwrap_or(AtomicOp::Add);
    let bit = |n: u32| how >> n & 1 != 0;
    // SAFETY: see above.
    unsafe { with_run(run, |run| run.atomic((op, bit(8), bit(9), bit(10)), address, operand, expected)) }
}

pub(crate) unsafe extern "C" fn load_acquire(run: *mut EngineRun, address: u64, size: u64, arena: u64) -> u64 {
    // SAFETY: see above.
    unsafe { with_run(run, |run| run.load_acquire(address, size, arena != 0)) }
}

pub(crate) unsafe extern "C" fn store_release(
    run: *mut EngineRun,
    address: u64,
    size: u64,
    value: u64,
    arena: u64,
) -> u64 {
    // SAFETY: see above.
    unsafe { with_run(run, |run| run.store_release(address, size, value, arena != 0).map(|()| 0)) }
}

/// Asks for the program of a tail call, or returns -1 for `r0`.
pub(crate) unsafe extern "C" fn tail_call(run: *mut EngineRun, map: u64, index: u64) -> u64 {
    let enter = |run: &mut EngineRun| {
        if run.tail_call(map, index)?.is_some() {
            run.set_status(STATUS_TAIL_CALL);
        }
        Ok(-1i64 as u64)
    };
    // SAFETY: see above.
    unsafe { with_run(run, enter) }
}

/// After a call that left a status: gives what was asked for and comes back to the calling program.
pub(crate) unsafe extern "C" fn resume(run: *mut EngineRun) -> u64 {
    let come_back = |run: &mut EngineRun| {
        let at = run.at();
        // With a tail call its target was the last to be entered, from the function that returned here.
        let caller = run.entered_from().cloned();
        let result = engine::finish(run);
        if let (Ok(_), Some(caller)) = (&result, caller) {
            run.enter(caller);
            run.set_at(at);
        }
        result
    };
    // SAFETY: see above.
    unsafe { with_run(run, come_back) }
}

/// Enters a frame of checked mode.
pub(crate) unsafe extern "C" fn push_frame(run: *mut EngineRun, cost: u64) -> u64 {
    // SAFETY: see above.
    unsafe { with_clean_run(run, |run| run.push_frame(cost).map(|()| 0)) }
}

/// Leaves a frame of checked mode.
pub(crate) unsafe extern "C" fn pop_frame(run: *mut EngineRun) {
    // SAFETY: see above.
    unsafe { &mut *run }.pop_frame();
}

/// A call through a register: of a function of the program, or of a helper by number.
pub(crate) unsafe extern "C" fn call_register(
    run: *mut EngineRun,
    target: u64,
    r1: u64,
    r2: u64,
    r3: u64,
    r4: u64,
    r5: u64,
) -> u64 {
    let args = [r1, r2, r3, r4, r5];
    let call = |run: &mut EngineRun| {
        let program = run.current().clone();
        if program.function_of_handle(target).is_some() {
            // As helpers do it, which keeps the depth.
            return run.call(target, args);
        }
        match u32::try_from(target).ok().and_then(|id| program.helper_by_id(id)) {
            // SAFETY: as in `helper`.
            Some(function) => unsafe { function(run.as_run(), args) },
            None => Err(FaultKind::BadCallTarget(target).into()),
        }
    };
    // SAFETY: see above.
    unsafe { with_run(run, call) }
}

/// Takes `count` instructions from the budget; what is left in use stands in the run.
pub(crate) unsafe extern "C" fn spend(run: *mut EngineRun, count: u64) -> u64 {
    // SAFETY: see above.
    unsafe { with_clean_run(run, |run| run.spend(count).map(|()| 0)) }
}

/// Control went where there is no instruction.
pub(crate) unsafe extern "C" fn past_end(run: *mut EngineRun) {
    // SAFETY: see above.
    value_or_fail(unsafe { &mut *run }, Err(Fault::helper("the program runs past its last instruction")));
}
