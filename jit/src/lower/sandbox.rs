//! Accesses of programs that nobody has verified.
//!
//! Each access is compared with one region, the likeliest for its register; a cold call looks at all others and finds
//! the fault. A wrong hint costs time, never safety.

use super::{Translator, int, trusted};
use crate::opt::load_combining::Piece;
use crate::runtime;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value};
use ebpfkit_abi::ProgType;
use ebpfkit_isa::{AluOp, Op, Operand, STACK_SIZE, Size};
use ebpfkit_vm::native::offset;

/// What a register probably holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RegionHint {
    /// No idea, or a number.
    #[default]
    Other,
    /// The context.
    Context,
    /// An address in the packet.
    Packet,
    /// An address in the function's frame.
    Stack,
    /// An address in global data.
    Fixed(u64),
    /// A region that a helper added.
    Added,
}

/// The hints at an instruction. They are kept in the order of slots, whatever way control takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegionHints {
    registers: [RegionHint; 11],
    /// What was stored whole in each word of the frame, from the top down.
    words: [RegionHint; FRAME_WORDS],
}

/// Words of a frame.
const FRAME_WORDS: usize = STACK_SIZE / 8;

/// The word of the frame that an access of eight bytes through `r10` goes to.
fn frame_word(off: i16) -> Option<usize> {
    let below = -i32::from(off);
    (below > 0 && below % 8 == 0 && below as usize <= STACK_SIZE).then(|| below as usize / 8 - 1)
}

impl RegionHints {
    /// At the start of a function; only the main one gets the context.
    pub(crate) fn at_start(prog_type: ProgType, main: bool) -> Self {
        let mut this = Self { registers: [RegionHint::Other; 11], words: [RegionHint::Other; FRAME_WORDS] };
        this.registers[10] = RegionHint::Stack;
        this.registers[1] = match (main, prog_type) {
            (true, ProgType::Unspec) => RegionHint::Packet,
            (true, _) => RegionHint::Context,
            (false, _) => RegionHint::Other,
        };
        this
    }

    /// What a register probably holds.
    pub(crate) fn of(&self, reg: u8) -> RegionHint {
        self.registers[usize::from(reg)]
    }

    /// What follows from an instruction. `imm64` is the number that an immediate load makes.
    pub(crate) fn step(&mut self, op: &Op, imm64: Option<u64>) {
        let g = &mut self.registers;
        match *op {
            Op::Alu { op: AluOp::Mov, dst, src, .. } => {
                g[usize::from(dst)] = match src {
                    Operand::Reg(r) => g[usize::from(r)],
                    Operand::Imm(_) => RegionHint::Other,
                };
            }
            // The sum of a pointer and a number is a pointer, whichever stands first.
            Op::Alu { op: AluOp::Add, dst, src: Operand::Reg(src), .. } if g[usize::from(dst)] == RegionHint::Other => {
                g[usize::from(dst)] = g[usize::from(src)];
            }
            Op::Alu { op: AluOp::Add | AluOp::Sub, .. } => {}
            Op::Alu { dst, .. } | Op::Movsx { dst, .. } | Op::Neg { dst, .. } => {
                g[usize::from(dst)] = RegionHint::Other
            }
            Op::LoadImm64 { dst, .. } => g[usize::from(dst)] = imm64.map_or(RegionHint::Other, RegionHint::Fixed),
            Op::Load { size, dst, src, off, .. } => {
                let kept = frame_word(off).filter(|_| src == 10).map(|n| self.words[n]);
                g[usize::from(dst)] = match (g[usize::from(src)], size) {
                    (RegionHint::Context, Size::W) => RegionHint::Packet,
                    // A spilled pointer.
                    (RegionHint::Stack, Size::DW) => {
                        kept.filter(|k| *k != RegionHint::Other).unwrap_or(RegionHint::Packet)
                    }
                    _ => RegionHint::Other,
                };
            }
            Op::Store { size: Size::DW, dst: 10, src: Operand::Reg(src), off } => {
                if let Some(n) = frame_word(off) {
                    self.words[n] = g[usize::from(src)];
                }
            }
            Op::Call(_) => g[0] = RegionHint::Added,
            _ => {}
        }
    }
}

/// The first byte of a region and its size.
pub(crate) struct Window {
    base: Value,
    len: Len,
}

#[derive(Clone, Copy)]
enum Len {
    Known(u64),
    Value(Value),
}

impl Translator<'_, '_> {
    /// The region to compare with; `None` when there is no hint worth a comparison.
    pub(crate) fn window(&mut self, hint: RegionHint, write: bool) -> Option<Window> {
        Some(match hint {
            RegionHint::Stack => {
                let base = self.b.ins().iadd_imm_s(self.top, -(STACK_SIZE as i64));
                Window { base, len: Len::Known(STACK_SIZE as u64) }
            }
            RegionHint::Fixed(address) => {
                let regions = self.env.program.fixed_regions();
                let r = regions.iter().find(|r| address.wrapping_sub(r.base) < r.len && (r.writable || !write))?;
                Window { base: self.number(r.base as i64), len: Len::Known(r.len) }
            }
            RegionHint::Packet => {
                let (base, mut len) = (self.b.use_var(self.packet.0), self.b.use_var(self.packet.1));
                if write {
                    let writable = self.b.ins().uload8(I64, trusted(), self.run, offset::PACKET_WRITABLE);
                    let zero = self.number(0);
                    len = self.b.ins().select(writable, len, zero);
                }
                Window { base, len: Len::Value(len) }
            }
            RegionHint::Added | RegionHint::Other => {
                let base = self.b.ins().load(I64, trusted(), self.run, offset::RECENT_BASE);
                let len = self.b.ins().load(I64, trusted(), self.run, offset::RECENT_LEN);
                Window { base, len: Len::Value(len) }
            }
            RegionHint::Context => return None,
        })
    }

    /// Whether `size` bytes from a register's address and an offset lie in a window.
    pub(crate) fn inside(&mut self, window: &Window, reg: u8, off: i64, size: u64) -> Option<Value> {
        let distance = self.distance(window.base, reg, off);
        // Starts allowed: all but the last `size - 1`, and none when the window is smaller.
        let starts = match window.len {
            Len::Known(len) => self.number(len.checked_sub(size - 1)? as i64),
            Len::Value(len) if size == 1 => len,
            Len::Value(len) => {
                let starts = self.b.ins().iadd_imm_s(len, -(size as i64 - 1));
                let sign = self.b.ins().sshr_imm_u(starts, 63);
                self.b.ins().band_not(starts, sign)
            }
        };
        Some(self.b.ins().icmp(IntCC::UnsignedLessThan, distance, starts))
    }

    /// From an address to that of a register and an offset. Where a register is a pointer that
    /// stays and an index, so does the pointer's own distance.
    fn distance(&mut self, from: Value, reg: u8, off: i64) -> Value {
        let (start, rest) = match self.block.known.base_index(reg) {
            Some(base_index) => {
                (base_index.base, self.b.ins().iadd_imm_s(base_index.index, base_index.offset.wrapping_add(off)))
            }
            None => (self.get(reg), self.number(off)),
        };
        let distance = self.b.ins().isub(start, from);
        self.b.ins().iadd(distance, rest)
    }

    /// Whether an access is inside the frame for sure.
    fn in_frame(&self, reg: u8, off: i16, size: u64) -> bool {
        let off = i64::from(off);
        reg == 10 && off >= -(STACK_SIZE as i64) && off + size as i64 <= 0
    }

    /// The condition under which an access may be done at once, and the register's offset and size of that access.
    fn fast_path(&mut self, reg: u8, off: i16, size: u64, write: bool) -> Option<(Option<Value>, i32, u64)> {
        if self.in_frame(reg, off, size) {
            return Some((None, off.into(), size));
        }
        if self.is_slow {
            return None;
        }
        if self.at < self.block.inside_until[usize::from(reg)] {
            return Some((None, off.into(), size));
        }
        if let Some(address) = self.block.known.frame_address(reg) {
            let condition = self.inside_frame(address, off.into(), size)?;
            return Some((condition, off.into(), size));
        }
        let hint = self.hints.of(reg);
        if hint == RegionHint::Context {
            let layout = self.env.program.ctx_layout();
            layout.layout()?;
            if write && u64::try_from(off).is_ok_and(|off| layout.is_selective(off)) {
                return None;
            }
            let to = layout.translate(u64::try_from(off).ok()?, size, write)?;
            let base = self.get(reg);
            let same = self.b.ins().icmp(IntCC::Equal, base, self.context);
            return Some((Some(same), to.address as i32, to.size));
        }
        let window = self.window(hint, write)?;
        let inside = self.inside(&window, reg, off.into(), size)?;
        Some((Some(inside), off.into(), size))
    }

    /// A load with checks, zero-extended; what was read, when the register's address is sure to be good.
    pub(crate) fn checked_load(&mut self, size: Size, src: u8, off: i16) -> (Value, Option<Piece>) {
        let bytes = size.bytes() as u64;
        let fast_path = self.fast_path(src, off, bytes, false);
        let flags = MemFlagsData::new().with_notrap();
        let base = self.get(src);
        let Some((condition, offset, read)) = fast_path else { return (self.slow_load(base, off, bytes), None) };
        let Some(condition) = condition else {
            let value = self.plain_load(read, false, flags, base, offset);
            return (value, Some(Piece::load(base, offset, read as u8)));
        };
        let (fast, slow, done) = (self.new_block(), self.cold_block(), self.new_block());
        self.b.append_block_param(done, I64);
        self.b.ins().brif(condition, fast, &[], slow, &[]);
        self.begin(slow);
        let value = self.slow_load(base, off, bytes);
        self.b.ins().jump(done, &[BlockArg::Value(value)]);
        self.begin(fast);
        let value = self.plain_load(read, false, flags, base, offset);
        self.b.ins().jump(done, &[BlockArg::Value(value)]);
        self.begin(done);
        (self.b.block_params(done)[0], None)
    }

    fn slow_load(&mut self, base: Value, off: i16, bytes: u64) -> Value {
        let address = self.b.ins().iadd_imm_s(base, i64::from(off));
        self.slow_path(false, bytes, &[address])
    }

    /// A store with checks. Fields that take not every number tell a negative constant from the same number in a
    /// register, so that the run has to know of it there.
    pub(crate) fn checked_store(&mut self, size: Size, dst: u8, off: i16, value: Value, negative: bool) {
        let layout = self.env.program.ctx_layout();
        let constant = negative && u64::try_from(off).is_ok_and(|off| layout.is_selective(off));
        let bytes = size.bytes() as u64;
        let fast_path = self.fast_path(dst, off, bytes, true);
        let flags = MemFlagsData::new().with_notrap();
        let base = self.get(dst);
        // Wider stores than the instruction's would be to pointers, which are never written; of some numbers less is kept.
        let Some((condition, offset, kept)) = fast_path else {
            return self.slow_store(base, off, bytes, value, constant);
        };
        let ty = int(kept as u32 * 8);
        let narrow = |t: &mut Self| if ty == I64 { value } else { t.b.ins().ireduce(ty, value) };
        let Some(condition) = condition else {
            let until = self.block.inside_until[usize::from(dst)];
            let allowed = |t: &Self, off, bytes, after| after <= until || t.in_frame(dst, off, bytes);
            if !self.merge_stores(dst, flags, allowed) {
                let narrow = narrow(self);
                self.b.ins().store(flags, narrow, base, offset);
            }
            return;
        };
        let (fast, slow, done) = (self.new_block(), self.cold_block(), self.new_block());
        self.b.ins().brif(condition, fast, &[], slow, &[]);
        self.begin(slow);
        self.slow_store(base, off, bytes, value, constant);
        self.b.ins().jump(done, &[]);
        self.begin(fast);
        let narrow = narrow(self);
        self.b.ins().store(flags, narrow, base, offset);
        self.b.ins().jump(done, &[]);
        self.begin(done);
    }

    fn slow_store(&mut self, base: Value, off: i16, bytes: u64, value: Value, constant: bool) {
        let address = self.b.ins().iadd_imm_s(base, i64::from(off));
        if constant {
            let bytes = self.number(bytes as i64);
            let was_cold = std::mem::replace(&mut self.is_cold, true);
            self.runtime(runtime::store_constant as *const () as usize, &[address, bytes, value]);
            self.stop_on_fault();
            self.is_cold = was_cold;
            return;
        }
        self.slow_path(true, bytes, &[address, value]);
    }

    /// Takes the packet's place, which calls may change, from the run.
    pub(crate) fn reload_packet(&mut self) {
        if self.env.checked {
            let base = self.b.ins().load(I64, trusted(), self.run, offset::PACKET_BASE);
            let len = self.b.ins().load(I64, trusted(), self.run, offset::PACKET_LEN);
            self.b.def_var(self.packet.0, base);
            self.b.def_var(self.packet.1, len);
        }
    }
}
