//! What is known of registers inside a block: sums that grow, and places in the frame.

use super::Translator;
use super::join::Piece;
use super::range::Range;
use super::sandbox::Guess;
use cranelift_codegen::ir::{InstBuilder, Value};
use ebpfkit_isa::{AluOp, Operand, STACK_SIZE, Width};

/// A register as what it held before the block, and what was added to that or taken from it since.
#[derive(Clone, Copy, Debug)]
struct Sum {
    width: Width,
    before: Value,
    change: Value,
    /// The change is taken away.
    falls: bool,
}

/// A register as an address in the frame: `r10`, plus a number that is known, plus one that is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// What is known, in bytes.
    pub offset: i64,
    /// The rest.
    pub index: Option<Value>,
}

/// A register as the sum of a pointer, a number that is not known, and one that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    pub pointer: Value,
    pub index: Value,
    /// In bytes.
    pub offset: i64,
}

/// What is known at an instruction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tracked {
    /// Registers that were written in this block, as bits.
    written: u16,
    /// Registers whose last change was to add a number to them, as bits.
    stepped: u16,
    sums: [Option<Sum>; 11],
    places: [Option<Place>; 11],
    pieces: [Option<Piece>; 11],
    walks: [Option<Walk>; 11],
    ranges: [Range; 11],
}

impl Tracked {
    /// At the start of a block; `frame` says that `r10` is what it was.
    pub(super) fn at_start(frame: bool) -> Self {
        let mut this = Self::default();
        this.places[10] = frame.then_some(Place { offset: 0, index: None });
        this
    }

    /// A register is written.
    pub(super) fn set(&mut self, reg: u8) {
        let n = usize::from(reg);
        self.written |= 1 << n;
        self.stepped &= !(1 << n);
        (self.sums[n], self.places[n], self.pieces[n], self.walks[n]) = (None, None, None, None);
        self.ranges[n] = Range::default();
    }

    /// Whether the last change of a register in this block was to add a number to it.
    pub(super) fn is_stepped(&self, reg: u8) -> bool {
        self.stepped >> reg & 1 != 0
    }

    /// The bytes of memory that a register holds, as they are now.
    pub(super) fn piece(&self, reg: u8) -> Option<Piece> {
        self.pieces[usize::from(reg)]
    }

    pub(super) fn set_piece(&mut self, reg: u8, piece: Option<Piece>) {
        self.pieces[usize::from(reg)] = piece;
    }

    /// How large the number in a register can be.
    pub(super) fn range(&self, reg: u8) -> Range {
        self.ranges[usize::from(reg)]
    }

    pub(super) fn set_range(&mut self, reg: u8, range: Range) {
        self.ranges[usize::from(reg)] = range;
    }

    pub(super) fn forget_pieces(&mut self) {
        self.pieces = [None; 11];
    }

    /// The pointer and the index that a register is the sum of.
    pub(super) fn walk(&self, reg: u8) -> Option<Walk> {
        self.walks[usize::from(reg)]
    }

    /// Where in the frame a register points.
    pub(super) fn place(&self, reg: u8) -> Option<Place> {
        self.places[usize::from(reg)]
    }
}

impl Translator<'_, '_> {
    /// A sum or difference of two values for a register. What is added to it in one block is added up first: then the
    /// register is not waited for, which matters where it goes around in a loop.
    pub(super) fn add(&mut self, op: AluOp, width: Width, dst: u8, src: Operand, a: Value, b: Value) {
        let n = usize::from(dst);
        let begins = self.tracked.written >> n & 1 == 0 && matches!(src, Operand::Reg(r) if r != dst);
        let sum = match self.tracked.sums[n].filter(|s| s.width == width) {
            Some(sum) => {
                let (before, more) = (sum.change, (op == AluOp::Sub) == sum.falls);
                let change = if more { self.b.ins().iadd(before, b) } else { self.b.ins().isub(before, b) };
                Some(Sum { change, ..sum })
            }
            None => begins.then_some(Sum { width, before: a, change: b, falls: op == AluOp::Sub }),
        };
        let (before, change, falls) = sum.map_or((a, b, op == AluOp::Sub), |s| (s.before, s.change, s.falls));
        let value = if falls { self.b.ins().isub(before, change) } else { self.b.ins().iadd(before, change) };
        let place = self.place_after(op, width, dst, src, (a, b));
        let walk = if width == Width::W64 { self.walk_after(op, dst, src, (a, b)) } else { None };
        self.set_extended(dst, value);
        self.tracked.walks[n] = walk;
        (self.tracked.sums[n], self.tracked.places[n]) = (sum, place);
        self.tracked.stepped |= u16::from(matches!(src, Operand::Imm(_))) << n;
    }

    /// Where in the frame a sum or difference points.
    fn place_after(&self, op: AluOp, width: Width, dst: u8, src: Operand, (a, b): (Value, Value)) -> Option<Place> {
        if width == Width::W32 {
            return None;
        }
        let place = self.tracked.place(dst);
        match (src, op) {
            (Operand::Imm(n), AluOp::Add) => place.map(|p| Place { offset: p.offset + i64::from(n), ..p }),
            (Operand::Imm(n), _) => place.map(|p| Place { offset: p.offset - i64::from(n), ..p }),
            (Operand::Reg(r), AluOp::Add) => match (place, self.tracked.place(r)) {
                (Some(p), None) if p.index.is_none() => Some(Place { index: Some(b), ..p }),
                (None, Some(p)) if p.index.is_none() => Some(Place { index: Some(a), ..p }),
                _ => None,
            },
            _ => None,
        }
    }

    /// The pointer and the index of a sum or difference.
    fn walk_after(&self, op: AluOp, dst: u8, src: Operand, (a, b): (Value, Value)) -> Option<Walk> {
        match (src, op) {
            (Operand::Imm(n), _) => {
                let walk = self.tracked.walk(dst)?;
                let n = if op == AluOp::Sub { -i64::from(n) } else { n.into() };
                Some(Walk { offset: walk.offset.checked_add(n)?, ..walk })
            }
            (Operand::Reg(r), AluOp::Add) => {
                let is_pointer = |reg| self.guesses.of(reg) != Guess::Other;
                let (pointer, index) = match (is_pointer(dst), is_pointer(r)) {
                    (true, false) => (a, b),
                    (false, true) => (b, a),
                    _ => return None,
                };
                Some(Walk { pointer, index, offset: 0 })
            }
            _ => None,
        }
    }

    /// A register takes over another's value.
    pub(super) fn copy(&mut self, dst: u8, src: u8) {
        let value = self.get(src);
        let (place, walk) = (self.tracked.place(src), self.tracked.walk(src));
        self.set(dst, value);
        (self.tracked.places[usize::from(dst)], self.tracked.walks[usize::from(dst)]) = (place, walk);
    }

    /// Whether bytes at a place are inside the frame: known, or a condition. `None` when they are not, for sure.
    pub(super) fn inside_frame(&mut self, place: Place, off: i64, size: u64) -> Option<Option<Value>> {
        use cranelift_codegen::ir::condcodes::IntCC;
        let (frame, size) = (STACK_SIZE as i64, size as i64);
        let from_bottom = place.offset.checked_add(off)?.checked_add(frame)?;
        let Some(index) = place.index else {
            return (0..=frame - size).contains(&from_bottom).then_some(None);
        };
        let starts = frame.checked_sub(size - 1).filter(|n| *n > 0)?;
        let distance = self.b.ins().iadd_imm_s(index, from_bottom);
        Some(Some(self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, distance, starts)))
    }
}
