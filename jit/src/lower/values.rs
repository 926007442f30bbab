//! What is known of registers inside a block: sums that grow, addresses in the frame, bases with an index.

use super::Translator;
use super::sandbox::RegionHint;
use crate::opt::load_combining::Piece;
use crate::opt::range::Range;
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
pub(crate) struct FrameAddress {
    /// What is known, in bytes.
    pub offset: i64,
    /// The rest.
    pub index: Option<Value>,
}

/// A register as the sum of a pointer, a number that is not known, and one that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseIndex {
    pub base: Value,
    pub index: Value,
    /// In bytes.
    pub offset: i64,
}

/// What is known at an instruction.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KnownValues {
    /// Registers that were written in this block, as bits.
    written: u16,
    /// Registers whose last change was to add a number to them, as bits.
    stepped: u16,
    sums: [Option<Sum>; 11],
    frame_addresses: [Option<FrameAddress>; 11],
    pieces: [Option<Piece>; 11],
    base_indices: [Option<BaseIndex>; 11],
    ranges: [Range; 11],
}

impl KnownValues {
    /// At the start of a block: `r10` is what it always is.
    pub(crate) fn at_start() -> Self {
        let mut this = Self::default();
        this.frame_addresses[10] = Some(FrameAddress { offset: 0, index: None });
        this
    }

    /// A register is written.
    pub(crate) fn set(&mut self, reg: u8) {
        let n = usize::from(reg);
        self.written |= 1 << n;
        self.stepped &= !(1 << n);
        (self.sums[n], self.frame_addresses[n], self.pieces[n], self.base_indices[n]) = (None, None, None, None);
        self.ranges[n] = Range::default();
    }

    /// Whether the last change of a register in this block was to add a number to it.
    pub(crate) fn is_stepped(&self, reg: u8) -> bool {
        self.stepped >> reg & 1 != 0
    }

    /// The bytes of memory that a register holds, as they are now.
    pub(crate) fn piece(&self, reg: u8) -> Option<Piece> {
        self.pieces[usize::from(reg)]
    }

    pub(crate) fn set_piece(&mut self, reg: u8, piece: Option<Piece>) {
        self.pieces[usize::from(reg)] = piece;
    }

    /// How large the number in a register can be.
    pub(crate) fn range(&self, reg: u8) -> Range {
        self.ranges[usize::from(reg)]
    }

    pub(crate) fn set_range(&mut self, reg: u8, range: Range) {
        self.ranges[usize::from(reg)] = range;
    }

    pub(crate) fn forget_pieces(&mut self) {
        self.pieces = [None; 11];
    }

    /// The pointer and the index that a register is the sum of.
    pub(crate) fn base_index(&self, reg: u8) -> Option<BaseIndex> {
        self.base_indices[usize::from(reg)]
    }

    /// Where in the frame a register points.
    pub(crate) fn frame_address(&self, reg: u8) -> Option<FrameAddress> {
        self.frame_addresses[usize::from(reg)]
    }
}

impl Translator<'_, '_> {
    /// A sum or difference of two values for a register. What is added to it in one block is added up first: then the
    /// register is not waited for, which matters where it goes around in a loop.
    pub(crate) fn add(&mut self, op: AluOp, width: Width, dst: u8, src: Operand, a: Value, b: Value) {
        let n = usize::from(dst);
        let begins = self.block.known.written >> n & 1 == 0 && matches!(src, Operand::Reg(r) if r != dst);
        let sum = match self.block.known.sums[n].filter(|s| s.width == width) {
            Some(sum) => {
                let (before, more) = (sum.change, (op == AluOp::Sub) == sum.falls);
                let change = if more { self.b.ins().iadd(before, b) } else { self.b.ins().isub(before, b) };
                Some(Sum { change, ..sum })
            }
            None => begins.then_some(Sum { width, before: a, change: b, falls: op == AluOp::Sub }),
        };
        let (before, change, falls) = sum.map_or((a, b, op == AluOp::Sub), |s| (s.before, s.change, s.falls));
        let value = if falls { self.b.ins().isub(before, change) } else { self.b.ins().iadd(before, change) };
        let address = self.frame_address_after(op, width, dst, src, (a, b));
        let base_index = if width == Width::W64 { self.base_index_after(op, dst, src, (a, b)) } else { None };
        self.set_extended(dst, value);
        self.block.known.base_indices[n] = base_index;
        (self.block.known.sums[n], self.block.known.frame_addresses[n]) = (sum, address);
        self.block.known.stepped |= u16::from(matches!(src, Operand::Imm(_))) << n;
    }

    /// Where in the frame a sum or difference points.
    fn frame_address_after(
        &self,
        op: AluOp,
        width: Width,
        dst: u8,
        src: Operand,
        (a, b): (Value, Value),
    ) -> Option<FrameAddress> {
        if width == Width::W32 {
            return None;
        }
        let address = self.block.known.frame_address(dst);
        match (src, op) {
            (Operand::Imm(n), AluOp::Add) => address.map(|p| FrameAddress { offset: p.offset + i64::from(n), ..p }),
            (Operand::Imm(n), _) => address.map(|p| FrameAddress { offset: p.offset - i64::from(n), ..p }),
            (Operand::Reg(r), AluOp::Add) => match (address, self.block.known.frame_address(r)) {
                (Some(p), None) if p.index.is_none() => Some(FrameAddress { index: Some(b), ..p }),
                (None, Some(p)) if p.index.is_none() => Some(FrameAddress { index: Some(a), ..p }),
                _ => None,
            },
            _ => None,
        }
    }

    /// The pointer and the index of a sum or difference.
    fn base_index_after(&self, op: AluOp, dst: u8, src: Operand, (a, b): (Value, Value)) -> Option<BaseIndex> {
        match (src, op) {
            (Operand::Imm(n), _) => {
                let base_index = self.block.known.base_index(dst)?;
                let n = if op == AluOp::Sub { -i64::from(n) } else { n.into() };
                Some(BaseIndex { offset: base_index.offset.checked_add(n)?, ..base_index })
            }
            (Operand::Reg(r), AluOp::Add) => {
                let is_pointer = |reg| self.hints.of(reg) != RegionHint::Other;
                let (pointer, index) = match (is_pointer(dst), is_pointer(r)) {
                    (true, false) => (a, b),
                    (false, true) => (b, a),
                    _ => return None,
                };
                Some(BaseIndex { base: pointer, index, offset: 0 })
            }
            _ => None,
        }
    }

    /// A register takes over another's value.
    pub(crate) fn copy(&mut self, dst: u8, src: u8) {
        let value = self.get(src);
        let (address, base_index) = (self.block.known.frame_address(src), self.block.known.base_index(src));
        self.set(dst, value);
        (self.block.known.frame_addresses[usize::from(dst)], self.block.known.base_indices[usize::from(dst)]) =
            (address, base_index);
    }

    /// Whether bytes at an address are inside the frame: known, or a condition. `None` when they are not, for sure.
    pub(crate) fn inside_frame(&mut self, address: FrameAddress, off: i64, size: u64) -> Option<Option<Value>> {
        use cranelift_codegen::ir::condcodes::IntCC;
        let (frame, size) = (STACK_SIZE as i64, size as i64);
        let from_bottom = address.offset.checked_add(off)?.checked_add(frame)?;
        let Some(index) = address.index else {
            return (0..=frame - size).contains(&from_bottom).then_some(None);
        };
        let starts = frame.checked_sub(size - 1).filter(|n| *n > 0)?;
        let distance = self.b.ins().iadd_imm_s(index, from_bottom);
        Some(Some(self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, distance, starts)))
    }
}
