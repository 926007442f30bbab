//! The interpreter.
//!
//! [`quick`] does what is simple, step by step, each step a function. What it gives back, [`execute`] does in full: one
//! loop over the dense form. With checks every access is looked up in the run's regions; without, the verifier has proved
//! that it is good. Both are the same code, compiled twice.

pub(crate) mod access;
mod arith;
pub(crate) mod quick;

use crate::fault::{Fault, FaultKind};
use crate::memory::MAX_FRAMES;
use crate::program::Program;
use crate::program::dense::Op;
use crate::program::step::Step;
use crate::run::Run;
use access::{atomic, load, load_acquire, packet_load, probe, store, store_release};
use ebpfkit_isa::STACK_SIZE;
use std::mem::MaybeUninit;

/// Iterations of `may_goto` in one call of a function (kernel: `BPF_MAX_LOOPS`).
const MAX_LOOPS: u64 = 8 * 1024 * 1024;

/// Runs the program once on the run's context; `r0` is the answer.
pub fn run(run: &mut Run) -> Result<u64, Fault> {
    let ctx = run.ctx.address();
    run_with(run, [ctx, 0, 0, 0, 0])
}

/// Runs the program once with these arguments in `r1` to `r5`.
pub fn run_with(run: &mut Run, args: [u64; 5]) -> Result<u64, Fault> {
    if run.is_clean() && run.native.entry.is_none() {
        run.left = run.budget;
        if run.is_checked() {
            run.begin_again();
        }
    } else {
        prepare(run);
    }
    let result = enter(run, 0, args);
    if result.is_ok() {
        return result;
    }
    run.soil();
    run.settle(result)
}

/// Gets a run ready that is not.
#[inline(never)]
fn prepare(run: &mut Run) {
    run.begin(callback);
    // Native code has to begin anew after the interpreter, and the other way round: callbacks run in the engine that
    // began.
    run.native.entry = None;
    // Calls of helpers and faults say when this is no longer true.
    run.keep_clean();
}

fn callback(run: &mut Run, function: usize, args: [u64; 5]) -> Result<u64, Fault> {
    let before = run.current().clone();
    let result = enter(run, function, args);
    if !std::sync::Arc::ptr_eq(run.current(), &before) {
        run.enter(before);
    }
    result
}

fn enter(run: &mut Run, function: usize, args: [u64; 5]) -> Result<u64, Fault> {
    match (run.memory.checked, run.watch.is_some()) {
        (true, false) => execute::<true, false>(run, function, args),
        (true, true) => execute::<true, true>(run, function, args),
        (false, false) => execute::<false, false>(run, function, args),
        (false, true) => execute::<false, true>(run, function, args),
    }
}

/// What a call saves.
#[derive(Clone, Copy)]
struct Saved {
    program: *const Program,
    /// Index of the instruction where the caller goes on.
    at: usize,
    regs: [u64; 4],
    loops: u64,
}

/// The state of a function and its callers.
#[repr(C)]
pub(crate) struct Machine {
    /// First, so that the handlers find them without an offset; there is room for every number that fits.
    r: [u64; 16],
    /// Iterations of `may_goto` that are left.
    loops: u64,
    /// `run.depth` where the engine entered.
    base: usize,
    /// The program that runs, and its steps. The run keeps every program that it has entered alive until it ends, so the
    /// pointers stay valid.
    program: *const Program,
    steps: *const Step,
    /// The frames that are saved, from the one that the engine entered on.
    frames: [MaybeUninit<Saved>; MAX_FRAMES],
}

impl Machine {
    /// Enters a new frame; `at` is where the caller goes on. Nothing happens when there is no frame, or no budget.
    #[inline(always)]
    fn push<const CHECKED: bool>(&mut self, run: &mut Run, at: usize) -> bool {
        if run.depth + 1 >= MAX_FRAMES || run.left == 0 {
            return false;
        }
        run.left -= 1;
        let saved = Saved { program: self.program, at, regs: kept(&self.r), loops: self.loops };
        self.frames[run.depth - self.base].write(saved);
        run.set_depth(run.depth + 1);
        self.r[10] -= STACK_SIZE as u64;
        if CHECKED {
            forget_callers(&mut self.r);
        }
        self.loops = MAX_LOOPS;
        true
    }

    /// Leaves a frame that `push` has entered; what it saved.
    #[inline(always)]
    fn pop<const CHECKED: bool>(&mut self, run: &mut Run) -> Saved {
        run.set_depth(run.depth - 1);
        // SAFETY: the frames from `base` to the one that is left were written when they were entered.
        let saved = unsafe { self.frames[run.depth - self.base].assume_init() };
        self.r[6..10].copy_from_slice(&saved.regs);
        self.r[10] += STACK_SIZE as u64;
        if CHECKED {
            self.r[1..6].fill(0);
        }
        self.loops = saved.loops;
        saved
    }

    /// The caller's frame, unless the engine entered here.
    #[inline(always)]
    fn caller(&self, run: &Run) -> Option<&Saved> {
        let above = run.depth.checked_sub(self.base + 1)?;
        // SAFETY: see `pop`.
        Some(unsafe { self.frames[above].assume_init_ref() })
    }
}

/// Why [`Machine::push`] did nothing.
#[cold]
fn no_frame(run: &Run) -> Fault {
    if run.depth + 1 >= MAX_FRAMES {
        FaultKind::CallDepth(MAX_FRAMES).into()
    } else {
        FaultKind::Budget(run.budget).into()
    }
}

/// Runs a function of the current program. `run.depth` is its frame.
fn execute<const CHECKED: bool, const WATCHED: bool>(
    run: &mut Run,
    function: usize,
    args: [u64; 5],
) -> Result<u64, Fault> {
    let program: *const Program = &**run.current();
    // SAFETY: the run keeps it alive.
    let mut code = unsafe { &*program }.code(CHECKED);
    let mut m = Machine {
        r: [0; 16],
        loops: MAX_LOOPS,
        base: run.depth,
        program,
        steps: code.steps.as_ptr(),
        frames: [MaybeUninit::uninit(); MAX_FRAMES],
    };
    m.r[1..6].copy_from_slice(&args);
    m.r[10] = run.frame_pointer();
    // The index of the next instruction.
    let mut at = code.entries[function] as usize;

    // Ends the run with a fault at the instruction before `at`.
    macro_rules! fail {
        ($fault:expr) => {
            break Fault::from($fault)
        };
    }
    macro_rules! check {
        ($result:expr) => {
            match $result {
                Ok(v) => v,
                Err(e) => fail!(e),
            }
        };
    }
    // Goes on in another program.
    macro_rules! switch {
        ($to:expr) => {
            m.program = $to;
            // SAFETY: the run keeps it alive.
            code = unsafe { &*m.program }.code(CHECKED);
            m.steps = code.steps.as_ptr();
        };
    }
    // Goes back to the caller.
    macro_rules! leave {
        () => {{
            let saved = m.pop::<CHECKED>(run);
            at = saved.at;
            if m.program != saved.program {
                run.leave(saved.program);
                switch!(saved.program);
            }
        }};
    }

    let fault = loop {
        if !WATCHED {
            // SAFETY: targets and entries are indices of the code, and every path ends in `exit` or runs into `Op::End`;
            // the program is that of the machine.
            at = unsafe { quick::run(m.steps.add(at), &mut m, run).offset_from_unsigned(m.steps) };
        }
        let i = &code.insts[at];
        at += 1;
        if WATCHED {
            check!(run.tell_watcher(code.slots[at - 1] as usize, &m.r[..11]));
        }
        let (d, s) = (usize::from(i.dst & 15), usize::from(i.src & 15));
        let r = &mut m.r;
        macro_rules! load {
            ($size:literal, $extend:expr) => {{
                let address = r[s].wrapping_add(i.off as i64 as u64);
                r[d] = $extend(check!(load::<CHECKED, $size>(run, address)))
            }};
        }
        macro_rules! store {
            ($size:literal, $value:expr) => {{
                let address = r[d].wrapping_add(i.off as i64 as u64);
                check!(store::<CHECKED, $size>(run, address, $value))
            }};
        }

        match i.op {
            Op::Load8 => load!(1, |v| v),
            Op::Load16 => load!(2, |v| v),
            Op::Load32 => load!(4, |v| v),
            Op::Load64 => load!(8, |v| v),
            Op::LoadS8 => load!(1, |v| v as i8 as i64 as u64),
            Op::LoadS16 => load!(2, |v| v as i16 as i64 as u64),
            Op::LoadS32 => load!(4, |v| v as i32 as i64 as u64),
            Op::LoadProbe => r[d] = probe(run, r[s].wrapping_add(i.off as i64 as u64), i.imm),
            Op::StoreArenaX => access::store_arena(run, r[d].wrapping_add(i.off as i64 as u64), i.imm, r[s]),
            Op::StoreArenaK => {
                access::store_arena(run, r[d].wrapping_add(i.off as i64 as u64), i.src.into(), i.imm);
            }
            Op::Store8X => store!(1, r[s]),
            Op::Store16X => store!(2, r[s]),
            Op::Store32X => store!(4, r[s]),
            Op::Store64X => store!(8, r[s]),
            Op::Store8K => store!(1, i.imm),
            Op::Store16K => store!(2, i.imm),
            Op::Store32K => store!(4, i.imm),
            Op::Store64K => store!(8, i.imm),
            Op::Atomic => {
                let address = r[d].wrapping_add(i.off as i64 as u64);
                let (old, to) = check!(atomic::<CHECKED>(run, address, i.imm, r[s], r[0]));
                match to {
                    access::Fetch::Nothing => {}
                    access::Fetch::Source => r[s] = old,
                    access::Fetch::R0 => r[0] = old,
                }
            }
            Op::LoadAcq => {
                r[d] = check!(load_acquire::<CHECKED>(run, r[s].wrapping_add(i.off as i64 as u64), i.imm));
            }
            Op::StoreRel => {
                check!(store_release::<CHECKED>(run, r[d].wrapping_add(i.off as i64 as u64), i.imm, r[s]));
            }

            Op::MayGoto => {
                if m.loops == 0 {
                    at = i.off as usize;
                } else {
                    m.loops -= 1;
                }
            }

            Op::CallHelper => {
                // SAFETY: see above.
                let function = unsafe { &*m.program }.helpers()[i.imm as usize];
                run.soil();
                r[0] = check!(function(run, [r[1], r[2], r[3], r[4], r[5]]));
            }
            Op::CallLocal => {
                if !m.push::<CHECKED>(run, at) {
                    fail!(no_frame(run));
                }
                at = i.off as usize;
            }
            Op::CallReg => {
                let target = r[d];
                // SAFETY: see above.
                let this = unsafe { &*m.program };
                if let Some(function) = this.function_of_handle(target) {
                    if !m.push::<CHECKED>(run, at) {
                        fail!(no_frame(run));
                    }
                    at = code.entries[function] as usize;
                } else {
                    let found = u32::try_from(target).ok().and_then(|id| this.helper_by_id(id));
                    let Some(function) = found else { fail!(FaultKind::BadCallTarget(target)) };
                    run.soil();
                    r[0] = check!(function(run, [r[1], r[2], r[3], r[4], r[5]]));
                    if CHECKED {
                        r[1..6].fill(0);
                    }
                }
            }
            Op::TailCall => match check!(run.tail_call(r[2], r[3])) {
                None => r[0] = (-1i64) as u64,
                Some(_) => {
                    if CHECKED {
                        forget_callers(r);
                        r[2..6].fill(0);
                    }
                    r[1] = run.ctx.address();
                    m.loops = MAX_LOOPS;
                    switch!(&**run.current());
                    at = 0;
                }
            },
            Op::LoadAbs | Op::LoadInd => {
                let offset = if i.op == Op::LoadInd { r[s].wrapping_add(i.imm) } else { i.imm } as i32;
                let value = packet_load(run, offset, i.off as usize);
                r[0] = value.unwrap_or(0);
                // Outside of the packet the function ends, with zero.
                if value.is_none() {
                    if run.depth == m.base {
                        return Ok(0);
                    }
                    leave!();
                }
            }
            Op::Exit => {
                if run.depth == m.base {
                    return Ok(r[0]);
                }
                leave!();
            }
            Op::End => fail!(FaultKind::Helper("the program runs past its last instruction".into())),
            op if op.is_jump() => {
                if quick::taken(i, &mut m, run) {
                    let next = at;
                    at = i.off as usize;
                    if let Err(fault) = run.spend(next.saturating_sub(at) as u64) {
                        at = next;
                        fail!(fault);
                    }
                }
            }
            _ => quick::alone(i, &mut m, run),
        }
    };
    Err(fault.at(code.slots[at - 1] as usize))
}

/// The registers that a call keeps. They are read one by one: the processor waits where one read spans what several
/// writes have left.
#[inline(always)]
fn kept(r: &[u64; 16]) -> [u64; 4] {
    // SAFETY: references are valid.
    [6, 7, 8, 9].map(|n: usize| unsafe { std::ptr::read_volatile(&r[n]) })
}

/// With checks a function starts with zeros in the registers that are no arguments, and its caller finds zeros in the
/// argument registers: what a program nobody has verified does with either is the same in every engine.
#[inline]
fn forget_callers(r: &mut [u64; 16]) {
    r[0] = 0;
    r[6..10].fill(0);
}
