//! Accesses that are taken together: several checks as one, several stores as one.

use super::sandbox::{Guess, Guesses};
use super::track::Tracked;
use super::{Translator, int};
use crate::effect::Effect;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Value};
use ebpfkit_isa::{Op, Operand, Size};

/// Slots that a group spans at most.
const LONGEST: usize = 24;
/// Slots up to the end of a block, which a group's slow way repeats, at most.
const LONGEST_REST: usize = 64;

/// Accesses through one register, one after another.
struct Group {
    reg: u8,
    /// Slot of the last access.
    last: usize,
    /// First byte and the one after the last, as offsets from the register.
    bytes: (i64, i64),
    write: bool,
}

/// Where control comes to the slow way of a block's rest: at a group whose check has failed.
#[derive(Clone, Copy)]
pub(super) struct SlowEntry {
    at: usize,
    block: Block,
    guesses: Guesses,
    tracked: Tracked,
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
    fn find_group(&self, at: usize) -> Option<Group> {
        let (reg, ..) = access_of(&self.env.code.op(at)?)?;
        let mut group = Group { reg, last: at, bytes: (i64::MAX, i64::MIN), write: false };
        let mut count = 0;
        for slot in at..at + LONGEST {
            if slot != at && self.find_block(slot).is_some() {
                break;
            }
            // The second half of a 64-bit immediate, or what no path reaches.
            let Some(op) = self.env.code.op(slot) else { continue };
            // Jumps, calls and all that may end the function or change what memory there is.
            let effect = Effect::of(&op);
            if effect == Effect::Other {
                break;
            }
            if let Some((_, off, size, write)) = access_of(&op).filter(|a| a.0 == reg) {
                let off = i64::from(off);
                group.bytes = (group.bytes.0.min(off), group.bytes.1.max(off + size));
                group.write |= write;
                group.last = slot;
                count += 1;
            }
            if effect == Effect::Register(reg) {
                break;
            }
        }
        (count > 1).then_some(group)
    }

    /// Checks the accesses of a group that starts at a slot together. Where they are inside, no more checks follow;
    /// otherwise another translation of the rest of the block looks at each.
    pub(super) fn group(&mut self, at: usize) {
        let Some(group) = self.find_group(at) else { return };
        let guess = self.guesses.of(group.reg);
        if group.reg == 10 || at < self.inside_until[usize::from(group.reg)] || guess == Guess::Context {
            return;
        }
        let rest = (at + 1..=at + LONGEST_REST).find(|s| self.ends_block(*s));
        let Some(inside) = rest.and_then(|_| self.all_inside(&group, guess)) else { return };
        let (fast, ask, slow) = (self.b.create_block(), self.cold_block(), self.cold_block());
        self.b.ins().brif(inside, fast, &[], ask, &[]);
        // The guess was wrong; they may be inside of another region.
        self.begin(ask);
        let base = self.get(group.reg);
        let address = self.b.ins().iadd_imm_s(base, group.bytes.0);
        let inside = self.ask(address, (group.bytes.1 - group.bytes.0) as u64, group.write);
        self.b.ins().brif(inside, fast, &[], slow, &[]);
        self.slow_entries.push(SlowEntry { at, block: slow, guesses: self.guesses, tracked: self.tracked });
        self.is_split = true;
        self.begin(fast);
        self.inside_until[usize::from(group.reg)] = group.last + 1;
    }

    /// Whether a block has ended before a slot.
    fn ends_block(&self, at: usize) -> bool {
        self.find_block(at).is_some()
            || matches!(self.env.code.op(at - 1), Some(Op::Exit | Op::Ja { .. } | Op::Jmp { .. } | Op::MayGoto { .. }))
    }

    /// At the end of a block: its second translation, in which all accesses take the slow way, from the first group whose
    /// check may fail. The other groups' come in where they begin.
    pub(super) fn finish_groups(&mut self) {
        let entries = std::mem::take(&mut self.slow_entries);
        if entries.is_empty() {
            return;
        }
        let kept = (self.guesses, self.tracked, self.skip_to);
        (self.is_slow, self.is_cold) = (true, true);
        for (n, entry) in entries.iter().enumerate() {
            if n > 0 && !self.ended {
                self.b.ins().jump(entry.block, &[]);
            }
            self.begin(entry.block);
            (self.ended, self.skip_to, self.guesses) = (false, 0, entry.guesses);
            // What is known on one of two ways is not known.
            self.tracked = if n == 0 { entry.tracked } else { Tracked::at_start(!self.moves_frame) };
            let until = entries.get(n + 1).map(|next| next.at);
            let mut slot = entry.at;
            while !self.ended && Some(slot) != until {
                self.one(slot);
                slot = self.env.code.after(slot);
                if !self.ended && self.find_block(slot).is_some() {
                    self.go(slot);
                }
            }
        }
        self.ended = true;
        (self.is_slow, self.is_cold) = (false, false);
        (self.guesses, self.tracked, self.skip_to) = kept;
    }

    /// The condition under which all accesses are inside one region; `None` when there is none worth a comparison.
    fn all_inside(&mut self, group: &Group, guess: Guess) -> Option<Value> {
        let size = (group.bytes.1 - group.bytes.0) as u64;
        if let Some(place) = self.tracked.place(group.reg) {
            // Without a condition there is nothing to share.
            return self.inside_frame(place, group.bytes.0, size)?;
        }
        let window = self.window(guess, group.write)?;
        self.inside(&window, group.reg, group.bytes.0, size)
    }

    /// The stores from a slot on that make one wide store: its offset from the register, its bytes, its value, and the
    /// slot after the last of them. They stand side by side, and write constants or all the same register.
    pub(super) fn wide_store(&mut self, at: usize) -> Option<(i16, u64, Value, usize)> {
        let Op::Store { size, dst, src, off } = self.env.code.op(at)? else { return None };
        let each = size.bytes() as i64;
        let mut parts: Vec<(i64, Operand)> = vec![(off.into(), src)];
        let mut next = at + 1;
        while (parts.len() as i64) < 8 / each && self.find_block(next).is_none() {
            let Some(Op::Store { size: s, dst: d, src: from, off }) = self.env.code.op(next) else { break };
            let same = match (src, from) {
                (Operand::Reg(a), Operand::Reg(b)) => a == b && size == Size::B,
                (Operand::Imm(_), Operand::Imm(_)) => true,
                _ => false,
            };
            if s != size || d != dst || !same || !self.is_plain(next, size, off) {
                break;
            }
            parts.push((off.into(), from));
            next += 1;
        }
        // As many as make a power of two, in one piece.
        while parts.len() > 1 {
            let bytes = parts.len() as i64 * each;
            let first = parts.iter().map(|p| p.0).min()?;
            let mut sorted: Vec<i64> = parts.iter().map(|p| p.0).collect();
            sorted.sort_unstable();
            let whole = sorted.iter().enumerate().all(|(n, o)| *o == first + n as i64 * each);
            if whole && (bytes as u64).is_power_of_two() {
                let value = self.wide_value(&parts, first, each, bytes as u64);
                return Some((first as i16, bytes as u64, value, at + parts.len()));
            }
            parts.pop();
        }
        None
    }

    fn wide_value(&mut self, parts: &[(i64, Operand)], first: i64, each: i64, bytes: u64) -> Value {
        let ty = int(bytes as u32 * 8);
        if let Operand::Reg(r) = parts[0].1 {
            let wide = self.get(r);
            let byte = self.b.ins().band_imm_u(wide, 0xff);
            let all = self.b.ins().imul_imm_s(byte, 0x0101_0101_0101_0101);
            return if ty == I64 { all } else { self.b.ins().ireduce(ty, all) };
        }
        let mut number = 0u64;
        for (off, value) in parts {
            let Operand::Imm(n) = value else { continue };
            let place = if cfg!(target_endian = "big") { first + bytes as i64 - each - off } else { off - first };
            let mask = u64::MAX >> (64 - 8 * each);
            number |= (i64::from(*n) as u64 & mask) << (8 * place);
        }
        self.b.ins().iconst(ty, number as i64)
    }

    /// Whether a store goes where the instruction says.
    fn is_plain(&self, at: usize, size: Size, off: i16) -> bool {
        self.env.checked
            || self
                .env
                .program
                .access_at(at)
                .is_none_or(|a| !a.arena && a.offset == i32::from(off) && a.size == size.bytes() as u64)
    }

    /// Does a store as part of a wide one, if it can; `flags` are those of the access. `allowed` gets offset and bytes of
    /// the wide store and the slot after it.
    pub(super) fn store_wide(
        &mut self,
        dst: u8,
        flags: MemFlagsData,
        allowed: impl Fn(&Self, i16, u64, usize) -> bool,
    ) -> bool {
        let at = self.at;
        let Some((off, bytes, value, after)) = self.wide_store(at) else { return false };
        if !allowed(self, off, bytes, after) {
            return false;
        }
        let base = self.get(dst);
        self.b.ins().store(flags, value, base, i32::from(off));
        self.skip_to = after;
        true
    }
}
