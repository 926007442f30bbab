//! Soundness: whatever happens when an accepted program runs was foreseen by the verifier.
//!
//! The verifier walks every path to its end and records the state before each instruction. The checked interpreter
//! then runs the program, and before each instruction some recorded state must hold every register and stack byte.

use crate::engines::{self, Input};
use crate::generate::{Construct, Constructs};
use ebpfkit_isa::{REG_COUNT, STACK_SIZE};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::observer::{Event, Observer, Silent};
use ebpfkit_verifier::state::{SLOT_SIZE, SlotKind, StackSlot};
use ebpfkit_verifier::{KernelModel, Options, RegBase, RegState, Verdict, Verified, verify};
use ebpfkit_vm::maps::Map;
use ebpfkit_vm::watch::Watcher;
use ebpfkit_vm::{Fault, FaultKind, Instance, Run, World, interp};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Instructions of a walk that is worth recording.
const MOST_PROCESSED: u64 = 20_000;

/// What the verifier says of one frame.
struct Frame {
    regs: [RegState; REG_COUNT],
    slots: Vec<StackSlot>,
}

/// The states before each instruction, each with its frames.
#[derive(Default)]
struct Recorder {
    states: Vec<Vec<Vec<Frame>>>,
}

impl Observer for Recorder {
    fn wants_events(&self) -> bool {
        true
    }

    fn event(&mut self, event: Event<'_>) {
        if let Event::Before { insn, state, .. } = event {
            if self.states.len() <= insn {
                self.states.resize_with(insn + 1, Vec::new);
            }
            let frame = |f: &ebpfkit_verifier::state::Frame| Frame { regs: f.regs, slots: f.stack.slots.to_vec() };
            self.states[insn].push(state.frames.iter().map(frame).collect());
        }
    }
}

/// Constructs that cannot be watched: other programs, functions that are verified alone, maps that are only reached
/// through other maps, and loops that end because the verifier has seen an equal state.
pub const UNWATCHED: Constructs = Constructs::of(&[
    Construct::Tail,
    Construct::Globals,
    Construct::Nested,
    Construct::Inner,
    Construct::MayGoto,
    Construct::Iterator,
    Construct::Elements,
    Construct::DynptrKfuncs,
]);

/// What became of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not accepted, or too many paths to record.
    Skipped,
    /// It ran, and every state was foreseen; the number of instructions that were compared.
    Contained(u64),
    /// Something happened that no recorded state allows, or a fault.
    Violation(String),
}

/// Addresses that pointers are compared with.
struct Bases {
    maps: Vec<Arc<Map>>,
    /// Every map value that has been there during the run; one that was removed stays usable until its end.
    values: BTreeSet<u64>,
}

impl Bases {
    fn find_values(&mut self) {
        for map in &self.maps {
            let _ = map.for_each(0, &mut |_, value| {
                self.values.insert(value.as_ptr() as u64);
                ControlFlow::Continue(())
            });
        }
    }

    /// Whether a pointer register may have this value.
    fn allows(&mut self, run: &Run, reg: &RegState, value: u64) -> bool {
        let from = |base: u64| reg.holds(value.wrapping_sub(base).wrapping_sub(i64::from(reg.off) as u64));
        match reg.ty.base {
            RegBase::NotInit => true,
            RegBase::Scalar => reg.holds(value),
            _ if reg.ty.may_be_null() && value == 0 => true,
            RegBase::Ctx => from(run.ctx().address()),
            RegBase::Stack => from(frame_pointer(run, reg.frameno as usize)),
            RegBase::Packet => from(run.packet().addresses().1),
            RegBase::PacketEnd => from(run.packet().addresses().2),
            RegBase::MapValue => {
                self.find_values();
                self.values.iter().any(|&value| from(value))
            }
            _ => true,
        }
    }

    /// Whether a slot's bytes, lowest address first, are what the verifier says.
    fn allows_slot(&mut self, run: &Run, slot: &StackSlot, bytes: [u8; SLOT_SIZE]) -> bool {
        let zeros = slot.kinds.iter().rev().zip(bytes).all(|(&kind, byte)| kind != SlotKind::Zero || byte == 0);
        let spilled = slot.kinds.iter().rev().take_while(|&&k| k == SlotKind::Spill).count();
        if spilled == 0 || !zeros {
            return zeros;
        }
        let mut value = [0; SLOT_SIZE];
        value[..spilled].copy_from_slice(&bytes[..spilled]);
        let mut reg = slot.spilled;
        if spilled < SLOT_SIZE {
            // A narrow spill keeps the whole number; its low bytes are what was stored.
            reg.coerce_to_size(spilled as u32);
        }
        self.allows(run, &reg, u64::from_le_bytes(value))
    }

    fn allows_state(&mut self, run: &Run, frames: &[Frame], regs: &[u64]) -> Result<(), String> {
        if frames.len() != run.depth() + 1 {
            return Err(format!("{} frames, foreseen {}", run.depth() + 1, frames.len()));
        }
        let current = &frames[run.depth()];
        for (number, (reg, &value)) in current.regs.iter().zip(regs).enumerate() {
            if !self.allows(run, reg, value) {
                return Err(format!("r{number} is {value:#x}, foreseen {reg:?}"));
            }
        }
        for (number, frame) in frames.iter().enumerate() {
            for (at, slot) in frame.slots.iter().enumerate() {
                // Frames lie below the stack's end, each below that of its caller.
                let below = number * STACK_SIZE + SLOT_SIZE * (at + 1);
                let start = run.stack().len() - below;
                let bytes = run.stack()[start..].first_chunk().copied().unwrap_or_default();
                if !self.allows_slot(run, slot, bytes) {
                    return Err(format!("fp{number}-{} is {bytes:02x?}, foreseen {slot:?}", SLOT_SIZE * (at + 1)));
                }
            }
        }
        Ok(())
    }
}

fn frame_pointer(run: &Run, frame: usize) -> u64 {
    run.stack_top() - (frame * STACK_SIZE) as u64
}

/// Verifies the first program of an object on all of its paths.
fn record(model: &KernelModel, prepared: &Prepared) -> Option<(Recorder, Verified)> {
    let mut recorder = Recorder::default();
    let usual = Options { max_insns: MOST_PROCESSED, ..Options::default() };
    let exhaustive = Options { max_insns: MOST_PROCESSED, exhaustive: true, ..Options::to_run() };
    // Without pruning the number of paths may explode; find out before anything is recorded.
    for options in [usual, exhaustive] {
        let verdict = verify(model, &prepared.object, 0, options, &mut Silent).verdict;
        if !matches!(verdict, Verdict::Accepted(_)) {
            return None;
        }
    }
    match verify(model, &prepared.object, 0, exhaustive, &mut recorder).verdict {
        Verdict::Accepted(verified) => Some((recorder, verified)),
        _ => None,
    }
}

/// Runs the first program of an object on each input and compares every step.
pub fn check(model: &KernelModel, prepared: &Prepared, inputs: &[Input]) -> Outcome {
    let Some((recorder, verified)) = record(model, prepared) else { return Outcome::Skipped };
    let mut instance = Instance::new(&prepared.object, model, 1);
    let program = match engines::load(&mut instance, model, prepared, &[verified]) {
        Ok(programs) => programs[0].clone(),
        Err(e) => return Outcome::Violation(format!("cannot be loaded: {e}")),
    };
    let maps: Vec<Arc<Map>> = instance.maps().iter().flatten().cloned().collect();
    let mut bases = Bases { maps, values: BTreeSet::new() };
    let compared = Arc::new(AtomicU64::new(0));
    let mut run = Run::new(&program, World::default());
    run.set_checked(true);
    let counter = compared.clone();
    run.set_watcher(Some(Watcher::new(move |run, slot, regs| {
        counter.fetch_add(1, Ordering::Relaxed);
        let mut reasons = BTreeSet::new();
        for frames in recorder.states.get(slot).into_iter().flatten() {
            match bases.allows_state(run, frames, regs) {
                Ok(()) => return Ok(()),
                Err(why) => _ = reasons.insert(why),
            }
        }
        Err(Fault::from(FaultKind::Helper(format!(
            "not foreseen: {}",
            reasons.into_iter().collect::<Vec<_>>().join("; or ")
        ))))
    })));
    for input in inputs {
        if let Err(e) = input.give(&mut run) {
            return Outcome::Violation(e.to_string());
        }
        if let Err(fault) = interp::run(&mut run) {
            return Outcome::Violation(fault.to_string());
        }
    }
    Outcome::Contained(compared.load(Ordering::Relaxed))
}
