//! Check coalescing: accesses through one register, one check for all of them.

use crate::flow::Change;
use crate::index::Slot;
use crate::lower::Translator;
use crate::lower::sandbox::{RegionHint, RegionHints};
use crate::lower::values::KnownValues;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use ebpfkit_isa::Op;

/// Slots that coalesced accesses span at most.
const LONGEST: usize = 24;
/// Slots up to the end of a block, which the slow path repeats, at most.
const LONGEST_REST: usize = 64;

/// Accesses through one register, one after another.
struct Accesses {
    reg: u8,
    /// Slot of the last access.
    last: Slot,
    /// First byte and the one after the last, as offsets from the register.
    bytes: (i64, i64),
    write: bool,
}

/// Where control comes to the slow path of a block's rest: at accesses whose check has failed.
#[derive(Clone, Copy)]
pub(crate) struct SlowEntry {
    at: Slot,
    block: Block,
    hints: RegionHints,
    known: KnownValues,
}

/// Register, offset, bytes and direction of a plain access.
fn access_of(op: &Op) -> Option<(u8, i16, i64, bool)> {
    match *op {
        Op::Load { size, src, off, .. } => Some((src, off, size.bytes() as i64, false)),
        Op::Store { size, dst, off, .. } => Some((dst, off, size.bytes() as i64, true)),
        _ => None,
    }
}

impl Translator<'_, '_> {
    /// The accesses from a slot on that one check can stand for.
    fn find_accesses(&self, at: Slot) -> Option<Accesses> {
        let (reg, ..) = access_of(&self.env.code.op(at)?)?;
        let mut all = Accesses { reg, last: at, bytes: (i64::MAX, i64::MIN), write: false };
        let mut count = 0;
        for slot in at.up_to(at.plus(LONGEST)) {
            if slot != at && self.find_block(slot).is_some() {
                break;
            }
            // The second half of a 64-bit immediate, or what no path reaches.
            let Some(op) = self.env.code.op(slot) else { continue };
            // Jumps, calls and all that may end the function or change what memory there is.
            let change = self.env.code.change(slot);
            if change == Change::Other {
                break;
            }
            if let Some((_, off, size, write)) = access_of(&op).filter(|a| a.0 == reg) {
                let off = i64::from(off);
                all.bytes = (all.bytes.0.min(off), all.bytes.1.max(off + size));
                all.write |= write;
                all.last = slot;
                count += 1;
            }
            if change == Change::Register(reg) {
                break;
            }
        }
        (count > 1).then_some(all)
    }

    /// Checks accesses that start at a slot together. Where they are inside, no more checks follow;
    /// otherwise another translation of the rest of the block looks at each.
    pub(crate) fn coalesce_checks(&mut self, at: Slot) {
        let Some(accesses) = self.find_accesses(at) else { return };
        let hint = self.hints.of(accesses.reg);
        if accesses.reg == 10 || at < self.block.inside_until[usize::from(accesses.reg)] || hint == RegionHint::Context
        {
            return;
        }
        if !at.plus(1).up_to(at.plus(LONGEST_REST + 1)).any(|s| self.ends_block(s)) {
            return;
        }
        let Some(inside) = self.all_inside(&accesses, hint) else { return };
        let (fast, ask, slow) = (self.b.create_block(), self.cold_block(), self.cold_block());
        self.b.ins().brif(inside, fast, &[], ask, &[]);
        // The hint was wrong; they may be inside of another region.
        self.begin(ask);
        let base = self.get(accesses.reg);
        let address = self.b.ins().iadd_imm_s(base, accesses.bytes.0);
        let inside = self.ask(address, (accesses.bytes.1 - accesses.bytes.0) as u64, accesses.write);
        self.b.ins().brif(inside, fast, &[], slow, &[]);
        self.block.slow_entries.push(SlowEntry { at, block: slow, hints: self.hints, known: self.block.known });
        self.block.is_split = true;
        self.begin(fast);
        self.block.inside_until[usize::from(accesses.reg)] = accesses.last.plus(1);
    }

    /// Whether a block has ended before a slot.
    fn ends_block(&self, at: Slot) -> bool {
        self.find_block(at).is_some()
            || matches!(
                self.env.code.op(at.before()),
                Some(Op::Exit | Op::Ja { .. } | Op::Jmp { .. } | Op::MayGoto { .. })
            )
    }

    /// At the end of a block: its second translation, in which all accesses take the slow path, from the first whose
    /// common check may fail. The others come in where they begin.
    pub(crate) fn finish_slow_paths(&mut self) {
        let entries = std::mem::take(&mut self.block.slow_entries);
        if entries.is_empty() {
            return;
        }
        // Hints follow the order of slots; what else is known ends with the block.
        let hints = self.hints;
        (self.is_slow, self.is_cold) = (true, true);
        for (n, entry) in entries.iter().enumerate() {
            if n > 0 && !self.block.ended {
                self.b.ins().jump(entry.block, &[]);
            }
            self.begin(entry.block);
            (self.block.ended, self.block.skip_to, self.hints) = (false, Slot(0), entry.hints);
            // What is known on one of two successors is not known.
            self.block.known = if n == 0 { entry.known } else { KnownValues::at_start() };
            let until = entries.get(n + 1).map(|next| next.at);
            let mut slot = entry.at;
            while !self.block.ended && Some(slot) != until {
                self.one(slot);
                slot = self.env.code.after(slot);
                if !self.block.ended && self.find_block(slot).is_some() {
                    self.go(slot);
                }
            }
        }
        self.block.ended = true;
        (self.is_slow, self.is_cold) = (false, false);
        self.hints = hints;
    }

    /// The condition under which all accesses are inside one region; `None` when there is none worth a comparison.
    fn all_inside(&mut self, accesses: &Accesses, hint: RegionHint) -> Option<Value> {
        let size = (accesses.bytes.1 - accesses.bytes.0) as u64;
        if let Some(address) = self.block.known.frame_address(accesses.reg) {
            // Without a condition there is nothing to share.
            return self.inside_frame(address, accesses.bytes.0, size)?;
        }
        let window = self.window(hint, accesses.write)?;
        self.inside(&window, accesses.reg, accesses.bytes.0, size)
    }
}
