//! What an instruction does to registers, and where control goes after it.
//!
//! Every analysis of data or control flow starts from here. The fields of a slot are taken as they are: reserved fields
//! are not checked, and what no row of the table describes reads every register and writes none, which is the safe
//! answer for liveness.

use crate::R10;
use crate::insn::Insn;
use crate::opcode::{self, X, alu, atomic, class, jmp, mode, pseudo, size};
use crate::regs::RegSet;

/// The register that legacy packet loads take the packet from.
const PACKET: RegSet = RegSet::of(6);
/// Where results of functions are.
const RESULT: RegSet = RegSet::of(0);

/// Where control may go after an instruction, as slots. Only what follows in the text is sure to be a slot of the
/// program, if it has one more; the others are what the instruction says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Successors {
    /// The next instruction, also where a function that is called returns to.
    pub fallthrough: Option<usize>,
    /// The target of a jump.
    pub jump: Option<i64>,
    /// The first instruction of the function of the same program that is called.
    pub call: Option<i64>,
}

impl Successors {
    /// The successors inside the function, without those that do not exist in a program of `len` slots: the next
    /// instruction before the target of the jump.
    pub fn within(self, len: usize) -> impl Iterator<Item = usize> + Clone {
        let jump = self.jump.and_then(|t| usize::try_from(t).ok());
        [self.fallthrough, jump].into_iter().flatten().filter(move |&s| s < len)
    }

    /// Whether a basic block ends with the instruction: it jumps, or nothing follows it.
    pub const fn ends_block(self) -> bool {
        self.jump.is_some() || self.fallthrough.is_none()
    }
}

impl Insn {
    /// Slots that the instruction takes: two for a 64-bit immediate load.
    #[inline]
    pub const fn slots(self) -> usize {
        if self.is_ld_imm64() { 2 } else { 1 }
    }

    /// A jump, call or exit.
    #[inline]
    pub const fn is_jump_class(self) -> bool {
        matches!(self.class(), class::JMP | class::JMP32)
    }

    /// A jump to the instruction whose address a register holds.
    #[inline]
    pub const fn is_indirect_jump(self) -> bool {
        self.code == opcode::GOTOX
    }

    /// A call of any kind.
    #[inline]
    pub const fn is_call(self) -> bool {
        self.is_jump_class() && self.op() == jmp::CALL
    }

    /// Whether it writes `r10` by itself, which programs can only read.
    pub fn writes_frame_pointer(self) -> bool {
        !self.is_call() && self.writes().contains(R10)
    }

    /// A call of a function of the same program.
    #[inline]
    pub const fn is_local_call(self) -> bool {
        self.code == opcode::CALL && self.src == pseudo::CALL
    }

    /// A call of a kernel function.
    #[inline]
    pub const fn is_kfunc_call(self) -> bool {
        self.code == opcode::CALL && self.src == pseudo::KFUNC_CALL
    }

    /// A call of the helper with this number.
    #[inline]
    pub const fn is_helper_call(self, id: u32) -> bool {
        self.code == opcode::CALL && self.src == 0 && self.imm as u32 == id
    }

    /// A load of the address of a function of the same program.
    #[inline]
    pub const fn is_func_address(self) -> bool {
        self.is_ld_imm64() && self.src == pseudo::FUNC
    }

    /// The first slot of the function of the same program that the instruction at slot `at` calls or takes the address
    /// of.
    #[inline]
    pub const fn function(self, at: usize) -> Option<i64> {
        if self.is_local_call() || self.is_func_address() { Some(at as i64 + 1 + self.imm as i64) } else { None }
    }

    /// Registers whose values decide what the instruction does. A call reads all arguments; what it calls may take
    /// fewer.
    pub fn reads(self) -> RegSet {
        let (dst, src) = (RegSet::of(self.dst), RegSet::of(self.src));
        let operand = if self.is_src_reg() { src } else { RegSet::EMPTY };
        let both = dst.union(src);
        match self.class() {
            class::LD => match self.mode() {
                mode::IMM if self.size_bits() == size::DW => RegSet::EMPTY,
                mode::ABS => PACKET,
                mode::IND => PACKET.union(src),
                _ => RegSet::ALL,
            },
            class::LDX if matches!(self.mode(), mode::MEM | mode::MEMSX) => src,
            class::ST if self.mode() == mode::MEM => dst,
            class::STX if self.mode() == mode::MEM => both,
            class::STX if self.mode() == mode::ATOMIC => match self.imm {
                atomic::CMPXCHG => both.union(RESULT),
                atomic::LOAD_ACQ => src,
                _ => both,
            },
            class::ALU | class::ALU64 => match self.op() {
                alu::END => dst,
                alu::MOV => operand,
                _ => dst.union(operand),
            },
            class::JMP | class::JMP32 => match self.op() {
                jmp::JA if self.is_indirect_jump() => dst,
                jmp::JA | jmp::JCOND => RegSet::EMPTY,
                jmp::EXIT => RESULT,
                jmp::CALL if self.code & X != 0 => RegSet::ARGS.union(dst),
                jmp::CALL => RegSet::ARGS,
                _ => dst.union(operand),
            },
            _ => RegSet::ALL,
        }
    }

    /// Registers that do not keep their values. Calls and legacy packet loads leave nothing in the argument registers.
    pub fn writes(self) -> RegSet {
        let (dst, src) = (RegSet::of(self.dst), RegSet::of(self.src));
        match self.class() {
            class::LD => match self.mode() {
                mode::IMM if self.size_bits() == size::DW => dst,
                mode::ABS | mode::IND => RegSet::CALLER_SAVED,
                _ => RegSet::EMPTY,
            },
            class::LDX if matches!(self.mode(), mode::MEM | mode::MEMSX) => dst,
            class::STX if self.mode() == mode::ATOMIC => match self.imm {
                atomic::CMPXCHG => RESULT,
                atomic::LOAD_ACQ => dst,
                atomic::STORE_REL => RegSet::EMPTY,
                op if op & atomic::FETCH != 0 => src,
                _ => RegSet::EMPTY,
            },
            class::ALU | class::ALU64 => dst,
            _ if self.is_call() => RegSet::CALLER_SAVED,
            _ => RegSet::EMPTY,
        }
    }

    /// The register that holds the address of the memory that the instruction accesses; none for legacy packet loads.
    pub fn memory_base(self) -> Option<u8> {
        match self.class() {
            class::LDX => Some(self.src),
            class::STX if self.mode() == mode::ATOMIC && self.imm == atomic::LOAD_ACQ => Some(self.src),
            class::ST | class::STX => Some(self.dst),
            _ => None,
        }
    }

    /// Where control may go after the instruction at slot `at`.
    #[inline]
    pub fn successors(self, at: usize) -> Successors {
        let fallthrough = Some(at + self.slots());
        if !self.is_jump_class() {
            return Successors { fallthrough, ..Successors::default() };
        }
        let target = |distance: i64| Some(at as i64 + 1 + distance);
        match self.op() {
            jmp::EXIT => Successors::default(),
            jmp::CALL => Successors { fallthrough, jump: None, call: self.function(at) },
            jmp::JA if self.class() == class::JMP32 => {
                Successors { jump: target(self.imm.into()), ..Successors::default() }
            }
            // Where it leads, tables say.
            jmp::JA if self.is_indirect_jump() => Successors::default(),
            jmp::JA => Successors { jump: target(self.off.into()), ..Successors::default() },
            _ => Successors { fallthrough, jump: target(self.off.into()), call: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use crate::op::{CallKind, Op, Operand};
    use crate::table::{Field, ROWS};

    /// The sets of an instruction, from its decoded form.
    fn expected(op: Op) -> (RegSet, RegSet) {
        let of = RegSet::of;
        let operand = |o: Operand| if let Operand::Reg(r) = o { of(r) } else { RegSet::EMPTY };
        match op {
            Op::Alu { op: crate::AluOp::Mov, dst, src, .. } => (operand(src), of(dst)),
            Op::Alu { dst, src, .. } => (of(dst).union(operand(src)), of(dst)),
            Op::Movsx { dst, src, .. } | Op::AddrSpaceCast { dst, src, .. } => (of(src), of(dst)),
            Op::Neg { dst, .. } | Op::Endian { dst, .. } | Op::Bswap { dst, .. } => (of(dst), of(dst)),
            Op::LoadImm64 { dst, .. } => (RegSet::EMPTY, of(dst)),
            Op::LoadAbs { .. } => (of(6), RegSet::CALLER_SAVED),
            Op::LoadInd { src, .. } => (of(6).union(of(src)), RegSet::CALLER_SAVED),
            Op::Load { dst, src, .. } | Op::LoadAcquire { dst, src, .. } => (of(src), of(dst)),
            Op::Store { dst, src, .. } => (of(dst).union(operand(src)), RegSet::EMPTY),
            Op::StoreRelease { dst, src, .. } => (of(dst).union(of(src)), RegSet::EMPTY),
            Op::Atomic { op: crate::AtomicOp::Cmpxchg, dst, src, .. } => (of(dst).union(of(src)).union(of(0)), of(0)),
            Op::Atomic { fetch, dst, src, .. } => (of(dst).union(of(src)), if fetch { of(src) } else { RegSet::EMPTY }),
            Op::GotoX { dst } => (of(dst), RegSet::EMPTY),
            Op::Ja { .. } | Op::MayGoto { .. } => (RegSet::EMPTY, RegSet::EMPTY),
            Op::Jmp { dst, src, .. } => (of(dst).union(operand(src)), RegSet::EMPTY),
            Op::Call(CallKind::Reg(r)) => (RegSet::ARGS.union(of(r)), RegSet::CALLER_SAVED),
            Op::Call(_) => (RegSet::ARGS, RegSet::CALLER_SAVED),
            Op::Exit => (of(0), RegSet::EMPTY),
        }
    }

    #[test]
    fn every_row_reads_and_writes_what_its_meaning_says() {
        let fixed = |rule: Field, free: i32| if let Field::Is(n) = rule { n } else { free };
        for row in &ROWS {
            let (dst, src) = (fixed(row.dst, 7) as u8, fixed(row.src, 8) as u8);
            let insn = Insn::new(row.code, dst, src, fixed(row.off, 3) as i16, fixed(row.imm, 5));
            let (op, slots) = decode(&[insn, Insn::default()], 0).expect("a row");
            let (reads, writes) = expected(op);
            assert_eq!((insn.reads(), insn.writes(), insn.slots()), (reads, writes, slots), "{op:?}");
            let next = |target: i64| Successors { fallthrough: Some(slots), jump: Some(target), call: None };
            let follows = match op {
                Op::Ja { off, .. } => Successors { fallthrough: None, ..next(i64::from(off) + 1) },
                Op::Jmp { off, .. } | Op::MayGoto { off } => next(i64::from(off) + 1),
                Op::GotoX { .. } | Op::Exit => Successors::default(),
                Op::Call(CallKind::Local(d)) => Successors { jump: None, call: Some(i64::from(d) + 1), ..next(0) },
                _ => Successors { jump: None, ..next(0) },
            };
            assert_eq!(insn.successors(0), follows, "{op:?}");
        }
    }

    #[test]
    fn successors_outside_of_the_program_are_left_out() {
        let jump = Insn::new(0x15, 0, 0, -3, 0);
        assert_eq!(jump.successors(1), Successors { fallthrough: Some(2), jump: Some(-1), call: None });
        assert_eq!(jump.successors(1).within(3).collect::<Vec<_>>(), [2]);
        assert_eq!(jump.successors(2).within(3).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn arguments_are_counted_from_r1() {
        assert_eq!(RegSet::args(0), RegSet::EMPTY);
        assert_eq!(RegSet::args(2).iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(RegSet::args(9), RegSet::ARGS);
    }
}
