//! Loads, stores and atomic operations.

use super::{Translator, int};
use crate::opt::load_combining::Piece;
use crate::opt::range::Range;
use crate::runtime;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Type, Value};
use ebpfkit_isa::{AtomicOp, Operand, Size};
use ebpfkit_vm::native::Access;

/// Memory that a verified program accesses: it is there, but may be unaligned.
fn proved() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

pub(crate) fn type_of(size: Size) -> Type {
    int(size.bytes() as u32 * 8)
}

impl Translator<'_, '_> {
    fn address(&mut self, reg: u8, off: i16) -> Value {
        let base = self.get(reg);
        if off == 0 { base } else { self.b.ins().iadd_imm_s(base, i64::from(off)) }
    }

    fn access(&self, size: Size, off: i16) -> Access {
        let plain = Access { size: size.bytes() as u64, offset: off.into(), probe: false, map: false, arena: false };
        self.env.program.access_at(self.at).unwrap_or(plain)
    }

    fn sign_extend(&mut self, value: Value, size: Size) -> Value {
        let narrow = self.b.ins().ireduce(type_of(size), value);
        self.b.ins().sextend(I64, narrow)
    }

    pub(crate) fn load(&mut self, size: Size, signed: bool, dst: u8, src: u8, off: i16) {
        let signed = signed && size != Size::DW;
        let mut piece = None;
        let value = if let Some(access) = self.env.program.special_load_at(self.at) {
            let base = self.get(src);
            let (bytes, sign) = (self.number(access.size as i64), self.number(signed.into()));
            if access.map {
                let offset = self.number(access.offset.into());
                self.runtime(runtime::load_map as *const () as usize, &[base, offset, bytes, sign])
            } else {
                let address = self.b.ins().iadd_imm_s(base, i64::from(access.offset));
                self.runtime(runtime::probe as *const () as usize, &[address, bytes, sign])
            }
        } else if self.env.checked {
            let value;
            (value, piece) = self.checked_load(size, src, off);
            if signed { self.sign_extend(value, size) } else { value }
        } else {
            let access = self.access(size, off);
            let base = self.get(src);
            piece = Some(Piece::load(base, access.offset, access.size as u8));
            self.plain_load(access.size, signed, proved(), base, access.offset)
        };
        self.set(dst, value);
        if let Some(piece) = piece.filter(|_| !signed) {
            self.block.known.set_piece(dst, Some(piece));
            self.block.known.set_range(dst, Range::below(8 * piece.bytes));
        }
    }

    /// A load that is extended on the way.
    pub(crate) fn plain_load(&mut self, size: u64, signed: bool, flags: MemFlagsData, base: Value, off: i32) -> Value {
        let ins = self.b.ins();
        match (size, signed) {
            (1, false) => ins.uload8(I64, flags, base, off),
            (1, true) => ins.sload8(I64, flags, base, off),
            (2, false) => ins.uload16(I64, flags, base, off),
            (2, true) => ins.sload16(I64, flags, base, off),
            (4, false) => ins.uload32(flags, base, off),
            (4, true) => ins.sload32(flags, base, off),
            _ => ins.load(I64, flags, base, off),
        }
    }

    pub(crate) fn store(&mut self, size: Size, dst: u8, src: Operand, off: i16) {
        let value = self.operand(ebpfkit_isa::Width::W64, src);
        if self.env.checked {
            let negative = matches!(src, Operand::Imm(imm) if imm < 0);
            return self.checked_store(size, dst, off, value, negative);
        }
        let access = self.access(size, off);
        if access.arena {
            let (address, bytes) = (self.address(dst, off), self.number(size.bytes() as i64));
            self.runtime(runtime::store_arena as *const () as usize, &[address, bytes, value]);
            return;
        }
        let plain = access.offset == i32::from(off) && access.size == size.bytes() as u64;
        if plain && self.merge_stores(dst, proved(), |_, _, _, _| true) {
            return;
        }
        let ty = int(access.size as u32 * 8);
        let value = if ty == I64 { value } else { self.b.ins().ireduce(ty, value) };
        let base = self.get(dst);
        self.b.ins().store(proved(), value, base, access.offset);
    }

    pub(crate) fn atomic(&mut self, op: AtomicOp, fetch: bool, size: Size, dst: u8, src: u8, off: i16) {
        let address = self.address(dst, off);
        let (operand, expected) = (self.get(src), self.get(0));
        let arena = !self.env.checked && self.access(size, off).arena;
        let old = if self.env.checked || arena {
            let how = self.number(runtime::atomic_number(op, fetch, size == Size::DW, arena));
            let old = self.runtime(runtime::atomic as *const () as usize, &[address, how, operand, expected]);
            self.stop_on_fault();
            old
        } else {
            let ty = type_of(size);
            let narrow = |t: &mut Self, v| if ty == I64 { v } else { t.b.ins().ireduce(ty, v) };
            let operand = narrow(self, operand);
            let flags = MemFlagsData::trusted();
            let old = match rmw(op) {
                Some(op) => self.b.ins().atomic_rmw(ty, flags, op, address, operand),
                None => {
                    let expected = narrow(self, expected);
                    self.b.ins().atomic_cas(flags, address, expected, operand)
                }
            };
            self.extend(old)
        };
        match op {
            AtomicOp::Cmpxchg => self.set(0, old),
            AtomicOp::Xchg => self.set(src, old),
            _ if fetch => self.set(src, old),
            _ => {}
        }
    }

    pub(crate) fn load_acquire(&mut self, size: Size, dst: u8, src: u8, off: i16) {
        let address = self.address(src, off);
        let arena = !self.env.checked && self.access(size, off).arena;
        let value = if self.env.checked || arena {
            let (bytes, arena) = (self.number(size.bytes() as i64), self.number(arena.into()));
            let value = self.runtime(runtime::load_acquire as *const () as usize, &[address, bytes, arena]);
            self.stop_on_fault();
            value
        } else {
            let value = self.b.ins().atomic_load(type_of(size), MemFlagsData::trusted(), address);
            self.extend(value)
        };
        self.set(dst, value);
    }

    pub(crate) fn store_release(&mut self, size: Size, dst: u8, src: u8, off: i16) {
        let (address, value) = (self.address(dst, off), self.get(src));
        let arena = !self.env.checked && self.access(size, off).arena;
        if self.env.checked || arena {
            let (bytes, arena) = (self.number(size.bytes() as i64), self.number(arena.into()));
            self.runtime(runtime::store_release as *const () as usize, &[address, bytes, value, arena]);
            self.stop_on_fault();
        } else {
            let ty = type_of(size);
            let value = if ty == I64 { value } else { self.b.ins().ireduce(ty, value) };
            self.b.ins().atomic_store(MemFlagsData::trusted(), value, address);
        }
    }

    /// A legacy packet load into `r0`; outside the packet the function ends with zero.
    pub(crate) fn packet_load(&mut self, size: Size, src: Option<u8>, imm: i32) {
        let mut offset = self.number(imm.into());
        if let Some(src) = src {
            let index = self.get(src);
            offset = self.b.ins().iadd(index, offset);
        }
        let bytes = self.number(size.bytes() as i64);
        let value = self.runtime(runtime::packet_load as *const () as usize, &[offset, bytes]);
        let (outside, go_on) = (self.cold_block(), self.b.create_block());
        let missing = self.b.ins().icmp_imm_s(IntCC::Equal, value, runtime::NO_PACKET as i64);
        self.b.ins().brif(missing, outside, &[], go_on, &[]);
        self.begin(outside);
        self.leave_budget();
        let zero = self.number(0);
        self.b.ins().return_(&[zero]);
        self.begin(go_on);
        self.set(0, value);
    }
}

/// The operation in Cranelift's terms; `None` for compare and exchange.
fn rmw(op: AtomicOp) -> Option<AtomicRmwOp> {
    Some(match op {
        AtomicOp::Add => AtomicRmwOp::Add,
        AtomicOp::Or => AtomicRmwOp::Or,
        AtomicOp::And => AtomicRmwOp::And,
        AtomicOp::Xor => AtomicRmwOp::Xor,
        AtomicOp::Xchg => AtomicRmwOp::Xchg,
        AtomicOp::Cmpxchg => return None,
    })
}
