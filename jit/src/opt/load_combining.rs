//! Load combining: numbers that a program puts together from bytes in memory.
//!
//! Where alignment is not known, compilers load byte by byte, shift and combine. Loads side by side are one load here,
//! with its bytes in order or swapped.

use crate::flow::Change;
use crate::index::Slot;
use crate::lower::{Translator, int};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use ebpfkit_isa::{AluOp, Operand, Width};

/// What a register holds when that is bytes of memory, zero-extended and shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Address and offset of the lowest byte.
    pub base: Value,
    pub offset: i32,
    pub bytes: u8,
    /// Bits to the left.
    shift: u8,
    /// The byte at the lowest address counts for most; without meaning for a single byte.
    big: bool,
}

impl Piece {
    /// A load in the host's order.
    pub(crate) fn load(base: Value, offset: i32, bytes: u8) -> Self {
        Self { base, offset, bytes, shift: 0, big: cfg!(target_endian = "big") }
    }

    /// The bit behind its highest.
    fn end(self) -> u32 {
        u32::from(self.shift) + 8 * u32::from(self.bytes)
    }

    fn is(self, big: bool) -> bool {
        self.bytes == 1 || self.big == big
    }

    /// Shifted to the left in a width, if no bit is lost.
    fn shifted(self, by: i32, width: Width) -> Option<Self> {
        let by = u8::try_from(by).ok().filter(|by| u32::from(*by) < bits(width))?;
        let moved = Self { shift: self.shift.checked_add(by)?, ..self };
        (moved.end() <= bits(width)).then_some(moved)
    }

    /// Two pieces as one, where they stand side by side in memory as in the number.
    fn combined(self, other: Self) -> Option<Self> {
        let (low, high) = if self.shift < other.shift { (self, other) } else { (other, self) };
        if low.base != high.base || low.end() != u32::from(high.shift) {
            return None;
        }
        let follows = |a: Self, b: Self| i64::from(a.offset) + i64::from(a.bytes) == i64::from(b.offset);
        let (big, first) = match () {
            () if follows(low, high) && low.is(false) && high.is(false) => (false, low),
            () if follows(high, low) && low.is(true) && high.is(true) => (true, high),
            () => return None,
        };
        Some(Self { offset: first.offset, bytes: low.bytes + high.bytes, big, ..low })
    }
}

fn bits(width: Width) -> u32 {
    match width {
        Width::W32 => 32,
        Width::W64 => 64,
    }
}

impl Translator<'_, '_> {
    /// Keeps account of pieces over an arithmetic instruction. Where two come together as a number that one load gives,
    /// that load is the result.
    pub(crate) fn combine_loads(
        &mut self,
        op: AluOp,
        width: Width,
        dst: u8,
        src: Operand,
    ) -> Option<(Piece, Option<Value>)> {
        if !self.env.optimizes {
            return None;
        }
        let piece = match (op, src) {
            (AluOp::Mov, Operand::Reg(r)) => self.block.known.piece(r)?.shifted(0, width)?,
            (AluOp::Lsh, Operand::Imm(n)) => self.block.known.piece(dst)?.shifted(n, width)?,
            // Bits that do not meet: it is all the same.
            (AluOp::Or | AluOp::Xor | AluOp::Add, Operand::Reg(r)) => {
                let piece = self.block.known.piece(dst)?.combined(self.block.known.piece(r)?)?;
                let piece = piece.shifted(0, width)?;
                let whole = piece.bytes.is_power_of_two().then(|| self.whole(piece));
                return Some((piece, whole));
            }
            _ => return None,
        };
        Some((piece, None))
    }

    /// The value of a piece, by one load.
    fn whole(&mut self, piece: Piece) -> Value {
        let flags = MemFlagsData::new().with_notrap();
        let (size, swapped) = (u64::from(piece.bytes), piece.big != cfg!(target_endian = "big"));
        let value = if swapped {
            let narrow = self.b.ins().load(int(8 * u32::from(piece.bytes)), flags, piece.base, piece.offset);
            let narrow = self.b.ins().bswap(narrow);
            self.extend(narrow)
        } else {
            self.plain_load(size, false, flags, piece.base, piece.offset)
        };
        if piece.shift == 0 { value } else { self.b.ins().ishl_imm_u(value, i64::from(piece.shift)) }
    }

    /// After the instruction at a slot: what was loaded before may stand differently in memory now.
    pub(crate) fn keep_loads(&mut self, at: Slot) {
        if !matches!(self.env.code.change(at), Change::Register(_)) {
            self.block.known.forget_pieces();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(offset: i32, shift: i32) -> Piece {
        Piece::load(Value::from_u32(7), offset, 1).shifted(shift, Width::W64).unwrap()
    }

    #[test]
    fn bytes_come_together_in_either_order() {
        let little = byte(4, 0).combined(byte(5, 8)).unwrap();
        assert_eq!((little.offset, little.bytes, little.shift, little.big), (4, 2, 0, false));
        let big = byte(5, 0).combined(byte(4, 8)).unwrap();
        assert_eq!((big.offset, big.bytes, big.shift, big.big), (4, 2, 0, true));
        let more = byte(3, 16).combined(big).unwrap();
        assert_eq!((more.offset, more.bytes, more.big), (3, 3, true));
    }

    #[test]
    fn what_is_not_side_by_side_stays_apart() {
        assert_eq!(byte(4, 0).combined(byte(6, 8)), None);
        assert_eq!(byte(4, 0).combined(byte(5, 16)), None);
        assert_eq!(byte(4, 0).combined(byte(4, 8)), None);
        let other = Piece { base: Value::from_u32(8), ..byte(5, 8) };
        assert_eq!(byte(4, 0).combined(other), None);
        // A little-endian half does not fit into a big-endian whole.
        let little = byte(4, 0).combined(byte(5, 8)).unwrap();
        assert_eq!(little.combined(byte(3, 16)), None);
    }

    #[test]
    fn shifts_lose_no_bits() {
        assert_eq!(byte(0, 0).shifted(24, Width::W32).unwrap().end(), 32);
        assert_eq!(byte(0, 0).shifted(25, Width::W32), None);
        assert_eq!(byte(0, 0).shifted(64, Width::W64), None);
        assert_eq!(byte(0, 0).shifted(-1, Width::W64), None);
    }
}
