//! Store merging: stores side by side as one.

use crate::index::Slot;
use crate::lower::{Translator, int};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use ebpfkit_isa::{Op, Operand, Size};

impl Translator<'_, '_> {
    /// The stores from a slot on that make one wide store: its offset from the register, its bytes, its value, and the
    /// slot after the last of them. They stand side by side, and write constants or all the same register.
    fn mergeable_stores(&mut self, at: Slot) -> Option<(i16, u64, Value, Slot)> {
        let Op::Store { size, dst, src, off } = self.env.code.op(at)? else { return None };
        let each = size.bytes() as i64;
        let mut parts: Vec<(i64, Operand)> = vec![(off.into(), src)];
        let mut next = at.plus(1);
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
            next = next.plus(1);
        }
        // As many as make a power of two, in one piece.
        while parts.len() > 1 {
            let bytes = parts.len() as i64 * each;
            let first = parts.iter().map(|p| p.0).min()?;
            let mut sorted: Vec<i64> = parts.iter().map(|p| p.0).collect();
            sorted.sort_unstable();
            let whole = sorted.iter().enumerate().all(|(n, o)| *o == first + n as i64 * each);
            if whole && (bytes as u64).is_power_of_two() {
                let value = self.merged_value(&parts, first, each, bytes as u64);
                return Some((first as i16, bytes as u64, value, at.plus(parts.len())));
            }
            parts.pop();
        }
        None
    }

    fn merged_value(&mut self, parts: &[(i64, Operand)], first: i64, each: i64, bytes: u64) -> Value {
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
            let byte = if cfg!(target_endian = "big") { first + bytes as i64 - each - off } else { off - first };
            let mask = u64::MAX >> (64 - 8 * each);
            number |= (i64::from(*n) as u64 & mask) << (8 * byte);
        }
        self.b.ins().iconst(ty, number as i64)
    }

    /// Whether a store goes where the instruction says.
    fn is_plain(&self, at: Slot, size: Size, off: i16) -> bool {
        self.env.checked
            || self
                .env
                .program
                .access_at(at)
                .is_none_or(|a| !a.arena && a.offset == i32::from(off) && a.size == size.bytes() as u64)
    }

    /// Does a store as part of a wide one, if it can; `flags` are those of the access. `allowed` gets offset and bytes of
    /// the wide store and the slot after it.
    pub(crate) fn merge_stores(
        &mut self,
        dst: u8,
        flags: MemFlagsData,
        allowed: impl Fn(&Self, i16, u64, Slot) -> bool,
    ) -> bool {
        let at = self.at;
        let Some((off, bytes, value, after)) = self.mergeable_stores(at) else { return false };
        if !allowed(self, off, bytes, after) {
            return false;
        }
        let base = self.get(dst);
        self.b.ins().store(flags, value, base, i32::from(off));
        self.block.skip_to = after;
        true
    }
}
