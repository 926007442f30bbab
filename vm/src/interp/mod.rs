//! The interpreter.
//!
//! One loop over the dense form. With checks every access is looked up in the run's regions; without, the verifier has
//! proved that it is good. Both are the same code, compiled twice.

pub(crate) mod access;
mod arith;

use crate::fault::{Fault, FaultKind};
use crate::memory::MAX_FRAMES;
use crate::program::dense::{Inst, Op};
use crate::program::{Code, Program};
use crate::run::Run;
use access::{atomic, load, load_acquire, packet_load, probe, store, store_release};
use arith::*;
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
    /// Where the caller goes on.
    ip: *const Inst,
    regs: [u64; 4],
    loops: u64,
}

/// The frames that are saved, from the one that the engine entered on.
type Frames = [MaybeUninit<Saved>; MAX_FRAMES];

/// The code to run: with a watcher, which is told of each instruction, one by one.
fn insts<const WATCHED: bool>(code: &Code) -> *const Inst {
    if WATCHED { code.insts.as_ptr() } else { code.fused.as_ptr() }
}

/// Runs a function of the current program. `run.depth` is its frame.
fn execute<const CHECKED: bool, const WATCHED: bool>(
    run: &mut Run,
    function: usize,
    args: [u64; 5],
) -> Result<u64, Fault> {
    const R: usize = 15;
    let base = run.depth;
    let mut frames: Frames = [MaybeUninit::uninit(); MAX_FRAMES];
    // The run keeps every program that it has entered alive until it ends, so the pointers below stay valid.
    let mut program: *const Program = &**run.current();
    // SAFETY: see above.
    let mut start: *const Inst = insts::<WATCHED>(unsafe { &*program }.code(CHECKED));
    // SAFETY: see above; entries are indices of the code.
    let mut ip = unsafe { start.add((&*program).code(CHECKED).entries[function] as usize) };
    let mut r = [0u64; R + 1];
    r[1..6].copy_from_slice(&args);
    r[10] = run.frame_pointer();
    let mut loops = MAX_LOOPS;

    // The index of the next instruction.
    macro_rules! pc {
        () => {
            // SAFETY: both point into the code of the current program.
            unsafe { ip.offset_from_unsigned(start) }
        };
    }
    // Goes on at an index.
    macro_rules! goto {
        ($index:expr) => {
            // SAFETY: targets and entries are indices of the code of the current program.
            ip = unsafe { start.add($index as usize) }
        };
    }
    // Ends the run with a fault at the instruction before `ip`.
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

    // Goes back to the caller.
    macro_rules! leave {
        () => {{
            let saved = pop(run, base, &frames);
            r[6..10].copy_from_slice(&saved.regs);
            r[10] += STACK_SIZE as u64;
            if CHECKED {
                r[1..6].fill(0);
            }
            (ip, loops) = (saved.ip, saved.loops);
            if program != saved.program {
                run.leave(saved.program);
                program = saved.program;
                // SAFETY: see above.
                start = insts::<WATCHED>(unsafe { &*program }.code(CHECKED));
            }
        }};
    }

    macro_rules! step {
        () => {{
            // Every path ends in `exit` or runs into `Op::End`, and targets are indices of the code.
            // Each operation reads the fields that it needs.
            // SAFETY: see above; the last instruction is `Op::End`, which does not go on.
            let i = unsafe { &*ip };
            // SAFETY: at most one past the end.
            ip = unsafe { ip.add(1) };
            if WATCHED {
                // SAFETY: see above.
                let slot = unsafe { &*program }.code(CHECKED).slots[pc!() - 1] as usize;
                check!(run.tell_watcher(slot, &r[..11]));
            }
            // SAFETY: decoding makes no other registers.
            unsafe { std::hint::assert_unchecked(usize::from(i.dst) <= R && usize::from(i.src) <= R) };
            let (d, s) = (usize::from(i.dst), usize::from(i.src));

            macro_rules! x64 {
                ($f:expr) => {
                    r[d] = $f(r[d], r[s])
                };
            }
            macro_rules! k64 {
                ($f:expr) => {
                    r[d] = $f(r[d], i.imm)
                };
            }
            macro_rules! x32 {
                ($f:expr) => {
                    r[d] = u64::from($f(r[d] as u32, r[s] as u32))
                };
            }
            macro_rules! k32 {
                ($f:expr) => {
                    r[d] = u64::from($f(r[d] as u32, i.imm as u32))
                };
            }
            macro_rules! jump {
                ($taken:expr) => {
                    if $taken {
                        let next = ip;
                        goto!(i.off);
                        if ip < next {
                            // SAFETY: both point into the code of the current program.
                            let count = unsafe { next.offset_from_unsigned(ip) };
                            if let Err(fault) = run.spend(count as u64) {
                                ip = next;
                                fail!(fault);
                            }
                        }
                    }
                };
            }
            macro_rules! jx64 {
                ($f:expr) => {
                    jump!($f(&r[d], &r[s]))
                };
            }
            macro_rules! jk64 {
                ($f:expr) => {
                    jump!($f(&r[d], &i.imm))
                };
            }
            macro_rules! jx32 {
                ($f:expr) => {
                    jump!($f(&(r[d] as u32), &(r[s] as u32)))
                };
            }
            macro_rules! jk32 {
                ($f:expr) => {
                    jump!($f(&(r[d] as u32), &(i.imm as u32)))
                };
            }
            macro_rules! frame_load {
                ($size:literal) => {{
                    let address = r[s].wrapping_add(i.off as i64 as u64);
                    // Decoding has checked it against the frame.
                    r[d] = check!(load::<false, $size>(run, address))
                }};
            }
            macro_rules! frame_store {
                ($size:literal, $value:expr) => {{
                    let address = r[d].wrapping_add(i.off as i64 as u64);
                    check!(store::<false, $size>(run, address, $value))
                }};
            }
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

            // A run of `$n` instructions; the others are skipped.
            macro_rules! fused {
                ($n:literal, $what:expr) => {{
                    // SAFETY: the others follow.
                    ip = unsafe { ip.add($n - 1) };
                    $what
                }};
            }
            // The register that the immediate names.
            macro_rules! third {
                () => {{
                    // SAFETY: fusing takes it from an instruction.
                    unsafe { std::hint::assert_unchecked(i.imm as usize <= R) };
                    i.imm as usize
                }};
            }
            macro_rules! high {
                () => {
                    (i.imm as i64 >> 32) as u64
                };
            }

            match i.op {
                Op::Add64X => x64!(u64::wrapping_add),
                Op::Add64K => k64!(u64::wrapping_add),
                Op::Add32X => x32!(u32::wrapping_add),
                Op::Add32K => k32!(u32::wrapping_add),
                Op::Sub64X => x64!(u64::wrapping_sub),
                Op::Sub64K => k64!(u64::wrapping_sub),
                Op::Sub32X => x32!(u32::wrapping_sub),
                Op::Sub32K => k32!(u32::wrapping_sub),
                Op::Mul64X => x64!(u64::wrapping_mul),
                Op::Mul64K => k64!(u64::wrapping_mul),
                Op::Mul32X => x32!(u32::wrapping_mul),
                Op::Mul32K => k32!(u32::wrapping_mul),
                Op::Div64X => x64!(div64),
                Op::Div64K => k64!(div64),
                Op::Div32X => x32!(div32),
                Op::Div32K => k32!(div32),
                Op::Sdiv64X => x64!(sdiv64),
                Op::Sdiv64K => k64!(sdiv64),
                Op::Sdiv32X => x32!(sdiv32),
                Op::Sdiv32K => k32!(sdiv32),
                Op::Or64X => x64!(|a, b| a | b),
                Op::Or64K => k64!(|a, b| a | b),
                Op::Or32X => x32!(|a, b| a | b),
                Op::Or32K => k32!(|a, b| a | b),
                Op::And64X => x64!(|a, b| a & b),
                Op::And64K => k64!(|a, b| a & b),
                Op::And32X => x32!(|a, b| a & b),
                Op::And32K => k32!(|a, b| a & b),
                Op::Lsh64X => x64!(|a: u64, b| a.wrapping_shl(b as u32)),
                Op::Lsh64K => k64!(|a: u64, b| a.wrapping_shl(b as u32)),
                Op::Lsh32X => x32!(u32::wrapping_shl),
                Op::Lsh32K => k32!(u32::wrapping_shl),
                Op::Rsh64X => x64!(|a: u64, b| a.wrapping_shr(b as u32)),
                Op::Rsh64K => k64!(|a: u64, b| a.wrapping_shr(b as u32)),
                Op::Rsh32X => x32!(u32::wrapping_shr),
                Op::Rsh32K => k32!(u32::wrapping_shr),
                Op::Mod64X => x64!(mod64),
                Op::Mod64K => k64!(mod64),
                Op::Mod32X => x32!(mod32),
                Op::Mod32K => k32!(mod32),
                Op::Smod64X => x64!(smod64),
                Op::Smod64K => k64!(smod64),
                Op::Smod32X => x32!(smod32),
                Op::Smod32K => k32!(smod32),
                Op::Xor64X => x64!(|a, b| a ^ b),
                Op::Xor64K => k64!(|a, b| a ^ b),
                Op::Xor32X => x32!(|a, b| a ^ b),
                Op::Xor32K => k32!(|a, b| a ^ b),
                Op::Arsh64X => x64!(arsh64),
                Op::Arsh64K => k64!(arsh64),
                Op::Arsh32X => x32!(arsh32),
                Op::Arsh32K => k32!(arsh32),
                Op::Mov64X => r[d] = r[s],
                Op::Mov32X => r[d] = u64::from(r[s] as u32),
                Op::MovK => r[d] = i.imm,
                Op::Movsx8 => r[d] = r[s] as i8 as i64 as u64,
                Op::Movsx16 => r[d] = r[s] as i16 as i64 as u64,
                Op::Movsx32 => r[d] = r[s] as i32 as i64 as u64,
                Op::Movsx8W => r[d] = u64::from(r[s] as i8 as i32 as u32),
                Op::Movsx16W => r[d] = u64::from(r[s] as i16 as i32 as u32),
                Op::Neg64 => r[d] = r[d].wrapping_neg(),
                Op::Neg32 => r[d] = u64::from((r[d] as u32).wrapping_neg()),
                Op::Trunc16 => r[d] = u64::from(r[d] as u16),
                Op::Trunc32 => r[d] = u64::from(r[d] as u32),
                Op::Swap16 => r[d] = u64::from((r[d] as u16).swap_bytes()),
                Op::Swap32 => r[d] = u64::from((r[d] as u32).swap_bytes()),
                Op::Swap64 => r[d] = r[d].swap_bytes(),
                Op::Nop => {}
                Op::CastUser => {
                    let low = u64::from(r[s] as u32);
                    r[d] = if low == 0 { 0 } else { low | i.imm };
                }

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
                Op::FrameLoad8 => frame_load!(1),
                Op::FrameLoad16 => frame_load!(2),
                Op::FrameLoad32 => frame_load!(4),
                Op::FrameLoad64 => frame_load!(8),
                Op::FrameStore8X => frame_store!(1, r[s]),
                Op::FrameStore16X => frame_store!(2, r[s]),
                Op::FrameStore32X => frame_store!(4, r[s]),
                Op::FrameStore64X => frame_store!(8, r[s]),
                Op::FrameStore8K => frame_store!(1, i.imm),
                Op::FrameStore16K => frame_store!(2, i.imm),
                Op::FrameStore32K => frame_store!(4, i.imm),
                Op::FrameStore64K => frame_store!(8, i.imm),
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

                Op::Ja => jump!(true),
                Op::Jeq64X => jx64!(u64::eq),
                Op::Jeq64K => jk64!(u64::eq),
                Op::Jeq32X => jx32!(u32::eq),
                Op::Jeq32K => jk32!(u32::eq),
                Op::Jne64X => jx64!(u64::ne),
                Op::Jne64K => jk64!(u64::ne),
                Op::Jne32X => jx32!(u32::ne),
                Op::Jne32K => jk32!(u32::ne),
                Op::Jgt64X => jx64!(u64::gt),
                Op::Jgt64K => jk64!(u64::gt),
                Op::Jgt32X => jx32!(u32::gt),
                Op::Jgt32K => jk32!(u32::gt),
                Op::Jge64X => jx64!(u64::ge),
                Op::Jge64K => jk64!(u64::ge),
                Op::Jge32X => jx32!(u32::ge),
                Op::Jge32K => jk32!(u32::ge),
                Op::Jlt64X => jx64!(u64::lt),
                Op::Jlt64K => jk64!(u64::lt),
                Op::Jlt32X => jx32!(u32::lt),
                Op::Jlt32K => jk32!(u32::lt),
                Op::Jle64X => jx64!(u64::le),
                Op::Jle64K => jk64!(u64::le),
                Op::Jle32X => jx32!(u32::le),
                Op::Jle32K => jk32!(u32::le),
                Op::Jset64X => jx64!(|a: &u64, b: &u64| a & b != 0),
                Op::Jset64K => jk64!(|a: &u64, b: &u64| a & b != 0),
                Op::Jset32X => jx32!(|a: &u32, b: &u32| a & b != 0),
                Op::Jset32K => jk32!(|a: &u32, b: &u32| a & b != 0),
                Op::Jsgt64X => jx64!(|a: &u64, b: &u64| *a as i64 > *b as i64),
                Op::Jsgt64K => jk64!(|a: &u64, b: &u64| *a as i64 > *b as i64),
                Op::Jsgt32X => jx32!(|a: &u32, b: &u32| *a as i32 > *b as i32),
                Op::Jsgt32K => jk32!(|a: &u32, b: &u32| *a as i32 > *b as i32),
                Op::Jsge64X => jx64!(|a: &u64, b: &u64| *a as i64 >= *b as i64),
                Op::Jsge64K => jk64!(|a: &u64, b: &u64| *a as i64 >= *b as i64),
                Op::Jsge32X => jx32!(|a: &u32, b: &u32| *a as i32 >= *b as i32),
                Op::Jsge32K => jk32!(|a: &u32, b: &u32| *a as i32 >= *b as i32),
                Op::Jslt64X => jx64!(|a: &u64, b: &u64| (*a as i64) < *b as i64),
                Op::Jslt64K => jk64!(|a: &u64, b: &u64| (*a as i64) < *b as i64),
                Op::Jslt32X => jx32!(|a: &u32, b: &u32| (*a as i32) < *b as i32),
                Op::Jslt32K => jk32!(|a: &u32, b: &u32| (*a as i32) < *b as i32),
                Op::Jsle64X => jx64!(|a: &u64, b: &u64| *a as i64 <= *b as i64),
                Op::Jsle64K => jk64!(|a: &u64, b: &u64| *a as i64 <= *b as i64),
                Op::Jsle32X => jx32!(|a: &u32, b: &u32| *a as i32 <= *b as i32),
                Op::Jsle32K => jk32!(|a: &u32, b: &u32| *a as i32 <= *b as i32),
                Op::MayGoto => {
                    if loops == 0 {
                        goto!(i.off);
                    } else {
                        loops -= 1;
                    }
                }

                Op::CallHelper => {
                    // SAFETY: see above.
                    let function = unsafe { &*program }.helpers()[i.imm as usize];
                    run.soil();
                    r[0] = check!(function(run, [r[1], r[2], r[3], r[4], r[5]]));
                }
                Op::CallLocal => {
                    check!(push(run, base, &mut frames, Saved { program, ip, regs: kept(&r), loops }));
                    r[10] -= STACK_SIZE as u64;
                    if CHECKED {
                        forget_callers(&mut r);
                    }
                    loops = MAX_LOOPS;
                    goto!(i.off);
                }
                Op::CallReg => {
                    let target = r[d];
                    // SAFETY: see above.
                    let this = unsafe { &*program };
                    if let Some(function) = this.function_of_handle(target) {
                        check!(push(run, base, &mut frames, Saved { program, ip, regs: kept(&r), loops }));
                        r[10] -= STACK_SIZE as u64;
                        if CHECKED {
                            forget_callers(&mut r);
                        }
                        loops = MAX_LOOPS;
                        goto!(this.code(CHECKED).entries[function]);
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
                        program = &**run.current();
                        // SAFETY: see above.
                        start = insts::<WATCHED>(unsafe { &*program }.code(CHECKED));
                        ip = start;
                        loops = MAX_LOOPS;
                        if CHECKED {
                            forget_callers(&mut r);
                            r[2..6].fill(0);
                        }
                        r[1] = run.ctx.address();
                    }
                },
                Op::LoadAbs | Op::LoadInd => {
                    let offset = if i.op == Op::LoadInd { r[s].wrapping_add(i.imm) } else { i.imm } as i32;
                    match packet_load(run, offset, i.off as usize) {
                        Some(v) => r[0] = v,
                        // The function ends, with zero.
                        None => {
                            r[0] = 0;
                            if run.depth == base {
                                return Ok(0);
                            }
                            leave!();
                        }
                    }
                }
                Op::Exit => {
                    if run.depth == base {
                        return Ok(r[0]);
                    }
                    leave!();
                }
                Op::MovAdd64K => fused!(2, r[d] = r[s].wrapping_add(i.imm)),
                Op::MovAnd64K => fused!(2, r[d] = r[s] & i.imm),
                Op::MovLsh64K => fused!(2, r[d] = r[s].wrapping_shl(i.imm as u32)),
                Op::MovRsh64K => fused!(2, r[d] = r[s].wrapping_shr(i.imm as u32)),
                Op::MovAdd64X => fused!(2, r[d] = r[s].wrapping_add(r[third!()])),
                Op::MovAnd64X => fused!(2, r[d] = r[s] & r[third!()]),
                Op::MovXor64X => fused!(2, r[d] = r[s] ^ r[third!()]),
                Op::Rotate64 => fused!(4, {
                    let old = r[d];
                    r[s] = old.wrapping_shr(64 - i.imm as u32);
                    r[d] = old.rotate_left(i.imm as u32);
                }),
                Op::LshOr64 => fused!(2, r[d] = r[d].wrapping_shl(i.imm as u32) | r[s]),
                Op::Zext32 => fused!(2, r[d] = u64::from(r[d] as u32)),
                Op::AddJne64 => fused!(2, {
                    r[d] = r[d].wrapping_add(i.imm as i32 as u64);
                    jump!(r[d] != high!());
                }),
                Op::AddJlt64 => fused!(2, {
                    r[d] = r[d].wrapping_add(i.imm as i32 as u64);
                    jump!(r[d] < high!());
                }),
                Op::AddJne32 => fused!(2, {
                    r[d] = u64::from((r[d] as u32).wrapping_add(i.imm as u32));
                    jump!(r[d] as u32 != high!() as u32);
                }),

                Op::End => fail!(FaultKind::Helper("the program runs past its last instruction".into())),
            }
        }};
    }
    // Each copy of the step has a jump of its own, which the processor then foresees better.
    let fault = loop {
        step!();
        if !WATCHED {
            step!();
            step!();
            step!();
            step!();
            step!();
            step!();
            step!();
        }
    };
    // SAFETY: see above.
    let slots = &unsafe { &*program }.code(CHECKED).slots;
    Err(fault.at(slots[pc!() - 1] as usize))
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

/// Enters a new frame.
#[inline(always)]
fn push(run: &mut Run, base: usize, frames: &mut Frames, saved: Saved) -> Result<(), Fault> {
    if run.depth + 1 >= MAX_FRAMES {
        return Err(too_deep());
    }
    run.spend(1)?;
    frames[run.depth - base].write(saved);
    run.set_depth(run.depth + 1);
    Ok(())
}

#[cold]
fn too_deep() -> Fault {
    FaultKind::CallDepth(MAX_FRAMES).into()
}

/// Leaves a frame that `push` has entered; what it saved.
#[inline]
fn pop(run: &mut Run, base: usize, frames: &Frames) -> Saved {
    run.set_depth(run.depth - 1);
    // SAFETY: the frames from `base` to the one that is left were written when they were entered.
    unsafe { frames[run.depth - base].assume_init() }
}
