//! The interpreter.
//!
//! `dispatch` is the fast path, threaded code: each step is a function. What it returns, `execute` does in full: one
//! loop over the dense form. With checks every access is looked up in the run's regions; without, the verifier has proved
//! that it is good. Both are the same code, compiled twice.

pub(crate) mod access;
mod arith;
pub(crate) mod dispatch;

use crate::fault::{Fault, FaultKind};
use crate::native::{EngineRun, stack_address};
use crate::program::dense::{Inst, Op, match_memory};
use crate::program::step::Step;
use crate::program::{Code, Program};
use crate::regions::Window;
use crate::run::Run;
use access::{atomic, load, load_acquire, packet_load, probe, store, store_release};
use ebpfkit_abi::limits::{self, MAX_CALL_FRAMES};
use ebpfkit_isa::STACK_SIZE;
use std::mem::MaybeUninit;

/// Iterations of `may_goto` in one call of a function.
const MAX_LOOPS: u64 = limits::MAX_LOOPS as u64;

/// Runs the program once on the run's context; `r0` is the answer.
pub fn run(run: &mut Run) -> Result<u64, Fault> {
    let ctx = run.ctx.address();
    start(run, [ctx, 0, 0, 0, 0])
}

/// Runs the program once with these arguments in `r1` to `r5`. Without checks a program runs on the run's context alone.
pub fn run_with(run: &mut Run, args: [u64; 5]) -> Result<u64, Fault> {
    run.may_pass(args)?;
    start(run, args)
}

fn start(run: &mut Run, args: [u64; 5]) -> Result<u64, Fault> {
    if run.is_clean() && run.native.entry.is_none() {
        run.native.left = run.budget.first();
        if run.is_checked() {
            run.begin_again();
        }
    } else {
        prepare(run);
    }
    run.native.stack_top = stack_address();
    let mut result = enter(run, 0, args);
    if result.is_err() {
        run.set_dirty();
        result = run.catch_exception(result);
    }
    run.native.stack_top = 0;
    result
}

/// Gets a run ready that is not.
#[inline(never)]
fn prepare(run: &mut Run) {
    run.begin(callback);
    // Native code has to begin anew after the interpreter, and the other way round: callbacks run in the engine that
    // began.
    run.native.entry = None;
    // Calls of helpers and faults say when this is no longer true.
    run.set_clean();
}

fn callback(run: &mut EngineRun, function: usize, args: [u64; 5]) -> Result<u64, Fault> {
    enter(run.as_run(), function, args)
}

/// Runs the program that a function's tail call has entered, in the function's place; then the old one goes on.
#[cold]
fn nested(run: &mut Run) -> Result<u64, Fault> {
    let caller = run.entered_from().cloned();
    let outer = run.begin_program()?;
    let ctx = run.ctx.address();
    let result = enter(run, 0, [ctx, 0, 0, 0, 0]);
    let r0 = run.end_program(outer, result)?;
    if let Some(caller) = caller {
        run.enter(caller);
    }
    Ok(r0)
}

fn enter(run: &mut Run, function: usize, args: [u64; 5]) -> Result<u64, Fault> {
    match (run.memory.checked, run.watch.is_some()) {
        (true, false) => execute::<true, false>(run, function, args),
        (true, true) => execute::<true, true>(run, function, args),
        (false, false) => execute::<false, false>(run, function, args),
        (false, true) => execute::<false, true>(run, function, args),
    }
}

/// What a call saves; its size makes a depth of an address by a shift.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Saved {
    /// Where the caller goes on.
    next: *const Step,
    loops: u64,
    regs: [u64; 4],
}

/// The state of a function and its callers. All of them are of one program: what a function calls as its tail has a
/// machine of its own.
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
    /// A new frame of the program has to be cleared.
    clears: bool,
    /// Address behind the frame of the main program.
    stack_end: u64,
    /// The top at which the program has all frames that it may have.
    limit: *const Saved,
    /// What calls have saved, by depth above the base.
    frames: [MaybeUninit<Saved>; MAX_CALL_FRAMES],
}

impl Machine {
    /// The place of what the next call saves.
    #[inline(always)]
    fn top(&mut self, run: &Run) -> *mut Saved {
        self.frames[run.depth - self.base].as_mut_ptr()
    }

    /// The top of the function that the engine has entered.
    #[inline(always)]
    fn bottom(&self) -> *const Saved {
        self.frames.as_ptr().cast()
    }

    /// The depth of which a place is the top.
    #[inline(always)]
    fn depth(&self, top: *const Saved) -> usize {
        self.base + (top as usize).wrapping_sub(self.bottom() as usize) / size_of::<Saved>()
    }

    /// Whether bytes lie in the frames that are in use, which end with that of `r10`.
    #[inline(always)]
    fn in_frames(&self, address: u64, size: u64) -> bool {
        let base = self.r[10] - STACK_SIZE as u64;
        Window { base, len: self.stack_end - base }.has(address, size)
    }

    /// Enters a new frame; `next` is where the caller goes on, `cost` what the function costs. Nothing happens when there
    /// is no frame, or no budget; otherwise this is the new top, and the run has to hear of the depth before it is asked.
    /// `LOOPS` tells whether the program has `may_goto`.
    ///
    /// # Safety
    /// `top` is that of the depth.
    #[inline(always)]
    unsafe fn push<const CHECKED: bool, const LOOPS: bool>(
        &mut self,
        run: &mut Run,
        top: *mut Saved,
        next: *const Step,
        cost: u64,
    ) -> Option<*mut Saved> {
        if std::ptr::eq(top, self.limit) {
            return None;
        }
        run.native.left = run.native.left.checked_sub(cost)?;
        let loops = if LOOPS { self.loops } else { MAX_LOOPS };
        // SAFETY: tops up to the limit are in the array.
        unsafe { *top = Saved { next, loops, regs: kept(&self.r[6..10]) } };
        self.r[10] -= STACK_SIZE as u64;
        if CHECKED {
            forget_callers(&mut self.r);
        }
        if LOOPS {
            self.loops = MAX_LOOPS;
        }
        Some(top.wrapping_add(1))
    }

    /// Leaves a frame that `push` has entered; the new top, which holds what was saved. The run has to hear of the depth.
    ///
    /// # Safety
    /// `top` is that of the depth, which is above the base.
    #[inline(always)]
    unsafe fn pop<const CHECKED: bool, const LOOPS: bool>(&mut self, top: *mut Saved) -> *mut Saved {
        // SAFETY: the frames from `base` to the one that is left were written when they were entered.
        let (top, saved) = unsafe { (top.sub(1), &*top.sub(1)) };
        self.r[6..10].copy_from_slice(&kept(&saved.regs));
        self.r[10] += STACK_SIZE as u64;
        if CHECKED {
            self.r[1..6].fill(0);
        }
        if LOOPS {
            self.loops = saved.loops;
        }
        top
    }

    /// Tells the run of the depth.
    #[inline(always)]
    fn tell(&self, run: &mut Run, top: *const Saved) {
        let depth = self.depth(top);
        if depth != run.depth {
            run.go_to_depth(depth);
        }
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
    let m = &mut Machine {
        r: [0; 16],
        loops: MAX_LOOPS,
        base: run.depth,
        program,
        steps: code.steps.as_ptr(),
        clears: CHECKED && run.current().frame_bytes() != 0,
        stack_end: run.stack_top(),
        limit: std::ptr::null(),
        frames: [MaybeUninit::uninit(); MAX_CALL_FRAMES],
    };
    // The base is a frame of the program, so that the limit is in the array or at its end.
    m.limit = m.bottom().wrapping_add(run.frame_limit() - 1 - m.base);
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
            m.clears = CHECKED && run.current().frame_bytes() != 0;
        };
    }
    // Goes to a function.
    macro_rules! enter {
        ($to:expr, $cost:expr) => {
            check!(run.check_depth());
            check!(run.spend($cost));
            let top = m.top(run);
            // SAFETY: the index is at most that of the step behind the last call. There is a frame, and it costs nothing
            // any more.
            let Some(top) = (unsafe { m.push::<CHECKED, true>(run, top, m.steps.add(at), 0) }) else {
                fail!(FaultKind::CallDepth(MAX_CALL_FRAMES))
            };
            m.tell(run, top);
            if m.clears {
                run.clear_new_frame();
            }
            at = $to as usize;
        };
    }
    // Goes back to the caller, or out of the engine.
    macro_rules! leave {
        () => {{
            if run.depth == m.base {
                return Ok(m.r[0]);
            }
            let top = m.top(run);
            // SAFETY: this frame is not the one that the engine entered on.
            let saved = unsafe { *m.pop::<CHECKED, true>(top) };
            m.tell(run, top.wrapping_sub(1));
            // SAFETY: callers go on at steps of their program.
            at = unsafe { saved.next.offset_from_unsigned(m.steps) };
        }};
    }

    let fault = loop {
        if !WATCHED {
            // SAFETY: targets and entries are indices of the code, and every path ends in `exit` or runs into `Op::End`;
            // the program is that of the machine.
            match unsafe { dispatch::run(m.steps.add(at), m, run) } {
                // SAFETY: as above.
                Some(step) => at = unsafe { step.offset_from_unsigned(m.steps) },
                None => return Ok(m.r[0]),
            }
        }
        let i = &code.insts[at];
        at += 1;
        if WATCHED {
            check!(run.tell_watcher(code.slots[at - 1] as usize, &m.r[..11]));
        }
        let (d, s) = (usize::from(i.dst & 15), usize::from(i.src & 15));
        let r = &mut m.r;
        match i.op {
            Op::LoadProbe => r[d] = probe(run, r[s].wrapping_add(i.off as i64 as u64), i.imm),
            Op::LoadMap => r[d] = access::load_map(run, r[s], i.off, i.imm),
            Op::StoreArenaX => access::store_arena(run, r[d].wrapping_add(i.off as i64 as u64), i.imm, r[s]),
            Op::StoreArenaK => {
                access::store_arena(run, r[d].wrapping_add(i.off as i64 as u64), i.src.into(), i.imm);
            }
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
                check!(charge_jump(run, code, at, i.off as usize));
                if m.loops == 0 {
                    at = i.off as usize;
                } else {
                    m.loops -= 1;
                }
            }

            Op::CallHelper => {
                // SAFETY: see above.
                let function = unsafe { &*m.program }.helpers()[i.imm as usize];
                run.set_dirty();
                // SAFETY: the program that runs calls it; without checks the verifier has proved the arguments.
                r[0] = check!(unsafe { function(run, [r[1], r[2], r[3], r[4], r[5]]) });
            }
            Op::CallLocal => {
                enter!(i.off, i.imm);
            }
            Op::CallReg => {
                let target = r[d];
                // SAFETY: see above.
                let this = unsafe { &*m.program };
                if let Some(function) = this.function_of_handle(target) {
                    enter!(code.entries[function], code.costs[function]);
                } else {
                    let found = u32::try_from(target).ok().and_then(|id| this.helper_by_id(id));
                    let Some(function) = found else { fail!(FaultKind::BadCallTarget(target)) };
                    run.set_dirty();
                    // SAFETY: as above.
                    r[0] = check!(unsafe { function(run, [r[1], r[2], r[3], r[4], r[5]]) });
                    if CHECKED {
                        r[1..6].fill(0);
                    }
                }
            }
            Op::TailCall => match check!(run.tail_call(r[2], r[3])) {
                None => r[0] = (-1i64) as u64,
                Some(_) if m.base != run.main_depth || run.depth != m.base => {
                    r[0] = check!(nested(run));
                    leave!();
                }
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
                    leave!();
                }
            }
            Op::Exit => {
                leave!();
            }
            Op::End => fail!(FaultKind::Helper("the program runs past its last instruction".into())),
            op if op.is_jump() => {
                check!(charge_jump(run, code, at, i.off as usize));
                if dispatch::taken(i, m, run) {
                    at = i.off as usize;
                }
            }
            _ => match memory::<CHECKED>(i, r, run) {
                Some(result) => check!(result),
                None => dispatch::alone(i, m, run),
            },
        }
    };
    Err(fault.at(code.slots[at - 1] as usize))
}

/// Does a load or store; `None` for other instructions.
fn memory<const CHECKED: bool>(i: &Inst, r: &mut [u64; 16], run: &mut Run) -> Option<Result<(), Fault>> {
    let (d, s) = (usize::from(i.dst & 15), usize::from(i.src & 15));
    macro_rules! load {
        ($size:literal, $extend:expr) => {{
            let address = r[s].wrapping_add(i.off as i64 as u64);
            load::<CHECKED, $size>(run, address).map(|v| r[d] = $extend(v))
        }};
    }
    macro_rules! operand {
        (src) => {
            r[s]
        };
        (imm) => {
            i.imm
        };
    }
    macro_rules! constant {
        (src) => {
            false
        };
        (imm) => {
            true
        };
    }
    macro_rules! store {
        ($size:literal, $operand:ident) => {{
            let address = r[d].wrapping_add(i.off as i64 as u64);
            store::<CHECKED, $size, { constant!($operand) }>(run, address, operand!($operand))
        }};
    }
    Some(match_memory!(i.op, load, store, _ => return None))
}

/// Charges a jump that closes a loop: the instructions from its target up to itself, which is the one before `next`.
fn charge_jump(run: &mut Run, code: &Code, next: usize, target: usize) -> Result<(), Fault> {
    if code.loop_jumps[next - 1] { run.spend((next - target) as u64) } else { Ok(()) }
}

/// The registers that a call keeps. They are read one by one: the processor waits where one read spans what several
/// writes have left.
#[inline(always)]
fn kept(r: &[u64]) -> [u64; 4] {
    // SAFETY: references are valid.
    std::array::from_fn(|n| unsafe { std::ptr::read_volatile(&r[n]) })
}

/// With checks a function starts with zeros in the registers that are no arguments, and its caller finds zeros in the
/// argument registers: what a program nobody has verified does with either is the same in every engine.
#[inline]
fn forget_callers(r: &mut [u64; 16]) {
    r[0] = 0;
    r[6..10].fill(0);
}
