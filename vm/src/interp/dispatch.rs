//! Threaded dispatch, the fast path of the interpreter: each step is a function that ends in a call of the next one.
//!
//! A function does only its fast path. Whatever else comes, such as a fault, an access outside of the regions at hand, or
//! a call of a helper, it leaves undone and returns the step; [`super::execute`] then does the instruction in full.
//!
//! Optimisation turns the call at the end into a jump. Nothing depends on it: jumps back, calls and the end of a stretch
//! ([`crate::program::step`]) return to the loop in [`run`], so that few functions are open at a time.

use super::arith::*;
use super::{Machine, Saved};
use crate::memory::{load_raw, store_raw};
use crate::program::dense::{Inst, Op, match_memory};
use crate::program::fuse::What;
use crate::program::step::Step;
use crate::run::Run;

/// Does a step, and those behind it.
///
/// # Safety
/// The step is one of the current program of the machine, which belongs to the run; the last is its top at the run's
/// depth.
pub(crate) type Handler = unsafe fn(*const Step, *mut Machine, *mut Run, *mut Saved) -> Next;

/// Where the functions have stopped.
#[derive(Clone, Copy)]
pub(crate) struct Next {
    /// The step, which is for [`super::execute`]; a byte further when it can be gone on with; null at the end.
    at: *const Step,
    /// The top at the run's depth, so that it need not be read again.
    top: *mut Saved,
}

impl Next {
    /// Gives the step back.
    #[inline(always)]
    fn full(at: *const Step, top: *mut Saved) -> Self {
        Self { at, top }
    }

    /// Goes on there.
    #[inline(always)]
    fn on(at: *const Step, top: *mut Saved) -> Self {
        Self { at: at.wrapping_byte_add(1), top }
    }
}

/// Goes on from a step until one has to be done in full; that one, or `None` when the function has ended.
///
/// # Safety
/// As for [`Handler`].
#[inline(always)]
pub(super) unsafe fn run(from: *const Step, m: &mut Machine, run: &mut Run) -> Option<*const Step> {
    let mut next = Next::on(from, m.top(run));
    while next.at.addr() & 1 != 0 {
        let at = next.at.wrapping_byte_sub(1);
        // SAFETY: handlers go from steps of the program to steps of the program; the last one stops.
        next = unsafe { ((*at).go)(at, m, run, next.top) };
    }
    m.tell(run, next.top);
    (!next.at.is_null()).then_some(next.at)
}

/// The registers of a machine.
#[derive(Clone, Copy)]
struct Regs(*mut u64);

impl Regs {
    /// # Safety
    /// Steps name registers below 16.
    #[inline(always)]
    unsafe fn get(self, n: u8) -> u64 {
        // SAFETY: see above.
        unsafe { *self.0.add(usize::from(n)) }
    }

    /// # Safety
    /// As for `get`.
    #[inline(always)]
    unsafe fn set(self, n: u8, v: u64) {
        // SAFETY: see above.
        unsafe { *self.0.add(usize::from(n)) = v }
    }
}

/// Instructions between two looks outside in a loop, about; a power of two.
const LOOK: u64 = 1024;

/// Takes what a jump back costs from the budget. `None` when it is not there; otherwise whether it is time to look
/// outside.
#[inline(always)]
fn spend(run: &mut Run, count: u64) -> Option<bool> {
    let left = run.native.left.checked_sub(count)?;
    let look = (left ^ run.native.left) >= LOOK;
    run.native.left = left;
    Some(look)
}

/// A handler: the body sees the step, the registers, and the run.
macro_rules! handler {
    // One that goes on behind its `$n` instructions.
    ($n:literal, |$i:ident, $r:ident| $body:expr) => {{
        unsafe fn go(ip: *const Step, m: *mut Machine, run: *mut Run, top: *mut Saved) -> Next {
            // SAFETY: as the caller says; another step follows each that goes on.
            unsafe {
                let ($i, $r) = (&*ip, Regs(m.cast()));
                $body;
                let next = ip.add($n);
                ((*next).go)(next, m, run, top)
            }
        }
        go as Handler
    }};
}

/// One that reads or writes memory: `$fast` says whether the access was at hand and done, `$slow` the same of a search.
macro_rules! memory {
    ($checked:expr, |$i:ident, $r:ident, $run:ident, $c:ident| $fast:expr, $slow:expr) => {{
        unsafe fn go<const $c: bool>(ip: *const Step, m: *mut Machine, run: *mut Run, top: *mut Saved) -> Next {
            // SAFETY: as for other handlers.
            unsafe {
                let ($i, $r, $run) = (&*ip, Regs(m.cast()), (&*m, &*run));
                let done: bool = $fast;
                if !done {
                    return search(ip, m, run, top);
                }
                let next = ip.add(1);
                ((*next).go)(next, m, run, top)
            }
        }
        #[inline(never)]
        unsafe fn search(ip: *const Step, m: *mut Machine, run: *mut Run, top: *mut Saved) -> Next {
            // SAFETY: as for other handlers.
            unsafe {
                let ($i, $r, $run) = (&*ip, Regs(m.cast()), &mut *run);
                (*m).tell($run, top);
                let done: bool = $slow;
                if !done {
                    return Next::full(ip, top);
                }
                let next = ip.add(1);
                ((*next).go)(next, m, run, top)
            }
        }
        if $checked { go::<true> as Handler } else { go::<false> as Handler }
    }};
}

/// A jump as the last of `$n` instructions: `$taken` is the condition, `$write` what the others do. One that is `$far`
/// closes a loop, and is charged, or leaves its stretch forwards.
macro_rules! jump {
    ($far:expr, $n:literal, |$i:ident, $r:ident| $taken:expr, $write:expr) => {{
        unsafe fn go_near(ip: *const Step, m: *mut Machine, run: *mut Run, top: *mut Saved) -> Next {
            // SAFETY: as for other handlers; targets are steps of the program.
            unsafe {
                let ($i, $r) = (&*ip, Regs(m.cast()));
                if !$taken {
                    let () = $write;
                    let next = ip.add($n);
                    return ((*next).go)(next, m, run, top);
                }
                let () = $write;
                let to = ip.offset($i.off as isize);
                ((*to).go)(to, m, run, top)
            }
        }
        unsafe fn go_far(ip: *const Step, m: *mut Machine, run: *mut Run, top: *mut Saved) -> Next {
            // SAFETY: as for `go_near`.
            unsafe {
                let ($i, $r) = (&*ip, Regs(m.cast()));
                let back = $n - i64::from($i.off);
                let look = if back > 0 { spend(&mut *run, back as u64) } else { Some(true) };
                let Some(look) = look else { return Next::full(ip, top) };
                if !$taken {
                    let () = $write;
                    let next = ip.add($n);
                    if look {
                        return Next::on(next, top);
                    }
                    return ((*next).go)(next, m, run, top);
                }
                let () = $write;
                let to = ip.offset($i.off as isize);
                if look {
                    return Next::on(to, top);
                }
                ((*to).go)(to, m, run, top)
            }
        }
        if $far { go_far as Handler } else { go_near as Handler }
    }};
}

/// Whether bytes are at hand for a load.
#[inline(always)]
fn readable<const CHECKED: bool>(of: (&Machine, &Run), address: u64, size: u64) -> bool {
    let run = of.1;
    !CHECKED
        || run.native.packet.has(address, size)
        || in_own(of, address, size)
        || run.memory.recent_read.has(address, size)
}

/// Whether bytes are at hand for a store.
#[inline(always)]
fn writable<const CHECKED: bool>(of: (&Machine, &Run), address: u64, size: u64) -> bool {
    !CHECKED || in_own(of, address, size) || of.1.native.may_write_packet(address, size)
}

/// Whether bytes lie in the frames, or in a region used last that may be written.
#[inline(always)]
fn in_own((m, run): (&Machine, &Run), address: u64, size: u64) -> bool {
    m.in_frames(address, size) || run.native.recent.has(address, size) || run.memory.recent_fixed.has(address, size)
}

/// Leaves a step to [`super::execute`].
unsafe fn leave(ip: *const Step, _: *mut Machine, _: *mut Run, top: *mut Saved) -> Next {
    Next::full(ip, top)
}

/// The handler that does nothing.
pub(crate) fn stop() -> Handler {
    leave
}

unsafe fn may_goto(ip: *const Step, m: *mut Machine, run: *mut Run, top: *mut Saved) -> Next {
    // SAFETY: as for other handlers.
    unsafe {
        if (*m).loops == 0 {
            return Next::full(ip, top);
        }
        (*m).loops -= 1;
        let next = ip.add(1);
        ((*next).go)(next, m, run, top)
    }
}

unsafe fn call<const CHECKED: bool, const LOOPS: bool>(
    ip: *const Step,
    m: *mut Machine,
    run: *mut Run,
    top: *mut Saved,
) -> Next {
    // SAFETY: as for other handlers; targets are steps of the program.
    unsafe {
        if CHECKED && (*m).clears {
            return call_with_frame::<LOOPS>(ip, m, run, top);
        }
        match (*m).push::<CHECKED, LOOPS>(&mut *run, top, ip.add(1), (*ip).imm) {
            Some(top) => Next::on(ip.offset((*ip).off as isize), top),
            None => no_call(ip, top),
        }
    }
}

#[cold]
fn no_call(ip: *const Step, top: *mut Saved) -> Next {
    Next::full(ip, top)
}

/// A call in a checked program that uses its frame.
#[inline(never)]
unsafe fn call_with_frame<const LOOPS: bool>(ip: *const Step, m: *mut Machine, run: *mut Run, top: *mut Saved) -> Next {
    // SAFETY: as for `call`.
    unsafe {
        let Some(top) = (*m).push::<true, LOOPS>(&mut *run, top, ip.add(1), (*ip).imm) else {
            return Next::full(ip, top);
        };
        (*m).tell(&mut *run, top);
        (*run).clear_new_frame();
        Next::on(ip.offset((*ip).off as isize), top)
    }
}

/// Goes back to a caller. Exits that follow each other are few, so that they need not return.
unsafe fn exit<const CHECKED: bool, const LOOPS: bool>(
    _: *const Step,
    m: *mut Machine,
    run: *mut Run,
    top: *mut Saved,
) -> Next {
    // SAFETY: as for other handlers; callers go on at steps of the program, and the one above was written by its call.
    unsafe {
        if std::ptr::eq(top, (*m).bottom()) {
            return Next { at: std::ptr::null(), top };
        }
        let top = (*m).pop::<CHECKED, LOOPS>(top);
        let to = (*top).next;
        ((*to).go)(to, m, run, top)
    }
}

/// The handler of a call of the program's own functions, or of their end. `loops` tells whether the program has `may_goto`.
pub(crate) fn frame(op: Op, checked: bool, loops: bool) -> Handler {
    match (op == Op::Exit, checked, loops) {
        (false, false, false) => call::<false, false>,
        (false, false, true) => call::<false, true>,
        (false, true, false) => call::<true, false>,
        (false, true, true) => call::<true, true>,
        (true, false, false) => exit::<false, false>,
        (true, false, true) => exit::<false, true>,
        (true, true, false) => exit::<true, false>,
        (true, true, true) => exit::<true, true>,
    }
}

/// Does one instruction that always succeeds and does not jump.
pub(super) fn alone(inst: &Inst, m: &mut Machine, run: &mut Run) {
    let end = Step { go: leave, imm: 0, off: 0, dst: 0, src: 0 };
    let steps = [Step::of(inst, true, false), end];
    // SAFETY: the second step stops.
    unsafe { (steps[0].go)(steps.as_ptr(), m, run, m.top(run)) };
}

/// Whether a jump is taken.
pub(super) fn taken(inst: &Inst, m: &mut Machine, run: &mut Run) -> bool {
    let end = Step { go: leave, imm: 0, off: 0, dst: 0, src: 0 };
    let steps = [Step { off: 2, ..Step::of(inst, true, false) }, end, end];
    // SAFETY: both steps that may follow stop.
    let next = unsafe { (steps[0].go)(steps.as_ptr(), m, run, m.top(run)) };
    std::ptr::eq(next.at, &steps[2])
}

/// The handler of an operation; `far` is for jumps.
#[rustfmt::skip]
pub(crate) fn handler(op: Op, checked: bool, far: bool) -> Handler {
    macro_rules! x64 {
        ($f:expr) => { handler!(1, |i, r| r.set(i.dst, $f(r.get(i.dst), r.get(i.src)))) };
    }
    macro_rules! k64 {
        ($f:expr) => { handler!(1, |i, r| r.set(i.dst, $f(r.get(i.dst), i.imm))) };
    }
    macro_rules! x32 {
        ($f:expr) => { handler!(1, |i, r| r.set(i.dst, u64::from($f(r.get(i.dst) as u32, r.get(i.src) as u32)))) };
    }
    macro_rules! k32 {
        ($f:expr) => { handler!(1, |i, r| r.set(i.dst, u64::from($f(r.get(i.dst) as u32, i.imm as u32)))) };
    }
    macro_rules! unary {
        ($f:expr) => { handler!(1, |i, r| r.set(i.dst, $f(r.get(i.dst)))) };
    }
    macro_rules! mov {
        ($f:expr) => { handler!(1, |i, r| r.set(i.dst, $f(r.get(i.src)))) };
    }
    macro_rules! jx64 {
        ($f:expr) => { jump!(far, 1, |i, r| $f(&r.get(i.dst), &r.get(i.src)), ()) };
    }
    macro_rules! jk64 {
        ($f:expr) => { jump!(far, 1, |i, r| $f(&r.get(i.dst), &i.imm), ()) };
    }
    macro_rules! jx32 {
        ($f:expr) => { jump!(far, 1, |i, r| $f(&(r.get(i.dst) as u32), &(r.get(i.src) as u32)), ()) };
    }
    macro_rules! jk32 {
        ($f:expr) => { jump!(far, 1, |i, r| $f(&(r.get(i.dst) as u32), &(i.imm as u32)), ()) };
    }
    macro_rules! load {
        ($size:literal, $extend:expr) => { memory!(checked, |i, r, run, CHECKED| {
            let address = r.get(i.src).wrapping_add(i.off as i64 as u64);
            let here = readable::<CHECKED>(run, address, $size);
            if here {
                r.set(i.dst, $extend(load_raw(address, $size)));
            }
            here
        }, {
            let address = r.get(i.src).wrapping_add(i.off as i64 as u64);
            run.load(address, $size).map(|v| r.set(i.dst, $extend(v))).is_ok()
        }) };
    }
    macro_rules! operand {
        ($i:ident, $r:ident, src) => { $r.get($i.src) };
        ($i:ident, $r:ident, imm) => { $i.imm };
    }
    macro_rules! slow_store {
        ($run:ident, $address:ident, $size:literal, $value:expr, src) => { $run.store($address, $size, $value) };
        ($run:ident, $address:ident, $size:literal, $value:expr, imm) => { $run.store_constant($address, $size, $value) };
    }
    macro_rules! store {
        ($size:literal, $operand:ident) => { memory!(checked, |i, r, run, CHECKED| {
            let address = r.get(i.dst).wrapping_add(i.off as i64 as u64);
            let here = writable::<CHECKED>(run, address, $size);
            if here {
                store_raw(address, $size, operand!(i, r, $operand));
            }
            here
        }, {
            let address = r.get(i.dst).wrapping_add(i.off as i64 as u64);
            slow_store!(run, address, $size, operand!(i, r, $operand), $operand).is_ok()
        }) };
    }
    // Decoding has checked these against the frame.
    macro_rules! frame_load {
        ($size:literal) => { handler!(1, |i, r| {
            r.set(i.dst, load_raw(r.get(i.src).wrapping_add(i.off as i64 as u64), $size))
        }) };
    }
    macro_rules! frame_store {
        ($size:literal, $operand:ident) => { handler!(1, |i, r| {
            store_raw(r.get(i.dst).wrapping_add(i.off as i64 as u64), $size, operand!(i, r, $operand))
        }) };
    }
    match_memory!(op, load, store,
        Op::CallLocal | Op::Exit => frame(op, checked, true),
        Op::MayGoto if far => leave,
        Op::MayGoto => may_goto,
        Op::LoadProbe | Op::LoadMap | Op::StoreArenaX | Op::StoreArenaK | Op::Atomic | Op::LoadAcq | Op::StoreRel
        | Op::LoadAbs | Op::LoadInd | Op::CallHelper | Op::CallReg | Op::TailCall | Op::End => leave,
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
        Op::FrameLoad8 => frame_load!(1),
        Op::FrameLoad16 => frame_load!(2),
        Op::FrameLoad32 => frame_load!(4),
        Op::FrameLoad64 => frame_load!(8),
        Op::FrameStore8X => frame_store!(1, src),
        Op::FrameStore16X => frame_store!(2, src),
        Op::FrameStore32X => frame_store!(4, src),
        Op::FrameStore64X => frame_store!(8, src),
        Op::FrameStore8K => frame_store!(1, imm),
        Op::FrameStore16K => frame_store!(2, imm),
        Op::FrameStore32K => frame_store!(4, imm),
        Op::FrameStore64K => frame_store!(8, imm),
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
        Op::Ja => jump!(far, 1, |i, _r| true, ()),
        Op::Mov64X => mov!(|v| v),
        Op::Mov32X => mov!(|v| u64::from(v as u32)),
        Op::MovK => handler!(1, |i, r| r.set(i.dst, i.imm)),
        Op::Movsx8 => mov!(|v| v as i8 as i64 as u64),
        Op::Movsx16 => mov!(|v| v as i16 as i64 as u64),
        Op::Movsx32 => mov!(|v| v as i32 as i64 as u64),
        Op::Movsx8W => mov!(|v| u64::from(v as i8 as i32 as u32)),
        Op::Movsx16W => mov!(|v| u64::from(v as i16 as i32 as u32)),
        Op::Neg64 => unary!(u64::wrapping_neg),
        Op::Neg32 => unary!(|v| u64::from((v as u32).wrapping_neg())),
        Op::Trunc16 => unary!(|v| u64::from(v as u16)),
        Op::Trunc32 => unary!(|v| u64::from(v as u32)),
        Op::Swap16 => unary!(|v| u64::from((v as u16).swap_bytes())),
        Op::Swap32 => unary!(|v| u64::from((v as u32).swap_bytes())),
        Op::Swap64 => unary!(u64::swap_bytes),
        Op::Nop => unary!(|v| v),
        Op::CastUser => handler!(1, |i, r| { let low = u64::from(r.get(i.src) as u32); r.set(i.dst, if low == 0 { 0 } else { low | i.imm }) }),
    )
}

/// The handler of a run of instructions; `far` is for those that end in a jump.
#[rustfmt::skip]
pub(crate) fn fused(what: What, far: bool) -> Handler {
    macro_rules! mov_k {
        ($f:expr) => { handler!(2, |i, r| r.set(i.dst, $f(r.get(i.src), i.imm))) };
    }
    // The immediate names a register.
    macro_rules! mov_x {
        ($f:expr) => { handler!(2, |i, r| r.set(i.dst, $f(r.get(i.src), r.get(i.imm as u8)))) };
    }
    macro_rules! add_jump_64 {
        ($f:expr) => { jump!(far, 2, |i, r| $f(sum64(i, r), (i.imm as i64 >> 32) as u64), r.set(i.dst, sum64(i, r))) };
    }
    match what {
        What::MovAdd64K => mov_k!(u64::wrapping_add),
        What::MovAnd64K => mov_k!(|a, b| a & b),
        What::MovLsh64K => mov_k!(|a: u64, b| a.wrapping_shl(b as u32)),
        What::MovRsh64K => mov_k!(|a: u64, b| a.wrapping_shr(b as u32)),
        What::MovAdd64X => mov_x!(u64::wrapping_add),
        What::MovAnd64X => mov_x!(|a, b| a & b),
        What::MovXor64X => mov_x!(|a, b| a ^ b),
        What::Rotate64 => handler!(4, |i, r| {
            let old = r.get(i.dst);
            r.set(i.src, old.wrapping_shr(64 - i.imm as u32));
            r.set(i.dst, old.rotate_left(i.imm as u32));
        }),
        What::LshOr64 => handler!(2, |i, r| r.set(i.dst, r.get(i.dst).wrapping_shl(i.imm as u32) | r.get(i.src))),
        What::Zext32 => handler!(2, |i, r| r.set(i.dst, u64::from(r.get(i.dst) as u32))),
        What::MovMov64 => handler!(2, |i, r| {
            r.set(i.dst, r.get(i.src));
            r.set(i.imm as u8, r.get((i.imm >> 8) as u8));
        }),
        What::MulAdd64 => handler!(2, |i, r| {
            let product = r.get(i.dst).wrapping_mul(i.imm as i32 as u64);
            r.set(i.dst, product.wrapping_add((i.imm as i64 >> 32) as u64));
        }),
        What::MovAddJgt64 => jump!(
            far,
            3,
            |i, r| r.get(i.src).wrapping_add(i.imm as i32 as u64) > r.get((i.imm >> 32) as u8),
            r.set(i.dst, r.get(i.src).wrapping_add(i.imm as i32 as u64))
        ),
        What::AddJne64 => add_jump_64!(|a, b| a != b),
        What::AddJlt64 => add_jump_64!(|a, b| a < b),
        What::AddJne32 => jump!(far, 2, |i, r| sum32(i, r) != (i.imm >> 32) as u32, r.set(i.dst, sum32(i, r).into())),
    }
}

/// `dst` plus the low half of the immediate, signed.
///
/// # Safety
/// As for [`Regs::get`].
#[inline(always)]
unsafe fn sum64(i: &Step, r: Regs) -> u64 {
    // SAFETY: see above.
    unsafe { r.get(i.dst) }.wrapping_add(i.imm as i32 as u64)
}

/// The same in 32 bits.
///
/// # Safety
/// As for [`Regs::get`].
#[inline(always)]
unsafe fn sum32(i: &Step, r: Regs) -> u32 {
    // SAFETY: see above.
    (unsafe { r.get(i.dst) } as u32).wrapping_add(i.imm as u32)
}
