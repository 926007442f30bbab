//! The instruction table: one row for each instruction. Decoding, encoding and the listings follow from it.

use crate::insn::Insn;
use crate::op::{AluOp, AtomicOp, JmpOp, Size, Width};
use crate::opcode::{self, X, alu, atomic, class, jmp, mode, pseudo, size};

/// What a field of the slot must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A register, 0 to 10.
    Reg,
    /// Any value.
    Any,
    /// Exactly this; zero for a reserved field.
    Is(i32),
}

/// The oldest `-mcpu` level that has an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cpu {
    /// The first instruction set.
    V1,
    /// With unsigned and signed less-than jumps.
    V2,
    /// With 32-bit jumps and fetching atomics.
    V3,
    /// With sign extension, signed division, byte swap and long jumps.
    V4,
}

/// Conformance group of RFC 9669 section 2.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// `base32`
    Base32,
    /// `base64`
    Base64,
    /// `atomic32`
    Atomic32,
    /// `atomic64`
    Atomic64,
    /// `divmul32`
    Divmul32,
    /// `divmul64`
    Divmul64,
    /// `packet`, legacy.
    Packet,
    /// Outside the RFC: what the Linux kernel adds.
    Linux,
}

/// What an instruction does: the part of [`crate::Op`] that the opcode and the selecting fields decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Binary arithmetic.
    Alu(AluOp, Width),
    /// Sign-extending move.
    Movsx(Width, u8),
    /// Negation.
    Neg(Width),
    /// Conversion to big endian (or little), bits.
    Endian(bool, u8),
    /// Byte swap, bits.
    Bswap(u8),
    /// Address space cast.
    AddrSpaceCast,
    /// 64-bit immediate with this pseudo kind.
    LoadImm64(u8),
    /// Legacy packet load.
    LoadAbs(Size),
    /// Legacy indirect packet load.
    LoadInd(Size),
    /// Load, sign-extending or not.
    Load(Size, bool),
    /// Store.
    Store(Size),
    /// Atomic operation, fetching or not.
    Atomic(AtomicOp, bool, Size),
    /// Load-acquire.
    LoadAcquire(Size),
    /// Store-release.
    StoreRelease(Size),
    /// Unconditional jump, long or not.
    Ja(bool),
    /// Conditional jump.
    Jmp(JmpOp, Width),
    /// `gotox`
    GotoX,
    /// `may_goto`
    MayGoto,
    /// Call of a helper.
    CallHelper,
    /// Call of a subprogram.
    CallLocal,
    /// Call of a kernel function.
    CallKfunc,
    /// Call through a register.
    CallReg,
    /// `exit`
    Exit,
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Opcode byte.
    pub code: u8,
    /// What it does.
    pub kind: Operation,
    /// Mnemonic, without the suffix for width or size.
    pub name: &'static str,
    /// Oldest level that has it.
    pub cpu: Cpu,
    /// Conformance group.
    pub group: Group,
    /// Destination field.
    pub dst: Field,
    /// Source field.
    pub src: Field,
    /// Offset field.
    pub off: Field,
    /// Immediate field.
    pub imm: Field,
}

impl Row {
    /// The row's instruction with these fields, where the row does not fix them.
    pub fn instance(&self, fields: Insn) -> Insn {
        let fixed = |rule: Field, free: i32| if let Is(n) = rule { n } else { free };
        Insn {
            code: self.code,
            dst: fixed(self.dst, fields.dst.into()) as u8,
            src: fixed(self.src, fields.src.into()) as u8,
            off: fixed(self.off, fields.off.into()) as i16,
            imm: fixed(self.imm, fields.imm),
        }
    }

    /// Both slots of an instance, in which a second immediate stands where the instruction has one.
    pub fn slots(&self, fields: Insn, high: i32) -> [Insn; 2] {
        let high = match self.kind {
            Operation::LoadImm64(kind) if is_one_half(kind) => 0,
            _ => high,
        };
        [self.instance(fields), Insn { imm: high, ..Insn::default() }]
    }
}

/// Whether a 64-bit immediate of this pseudo kind stands in the first slot alone.
pub(crate) const fn is_one_half(kind: u8) -> bool {
    matches!(kind, pseudo::MAP_FD | pseudo::FUNC | pseudo::MAP_IDX)
}

use Field::{Any, Is, Reg};
const ZERO: Field = Is(0);
const COUNT: usize = 261;

struct Builder {
    rows: [Row; COUNT],
    len: usize,
}

impl Builder {
    #[allow(clippy::too_many_arguments)]
    const fn push(
        &mut self,
        code: u8,
        kind: Operation,
        name: &'static str,
        cpu: Cpu,
        group: Group,
        fields: (Field, Field, Field, Field),
    ) {
        let (dst, src, off, imm) = fields;
        self.rows[self.len] = Row { code, kind, name, cpu, group, dst, src, off, imm };
        self.len += 1;
    }

    /// The four forms of an arithmetic operation; `off` selects among those that share an opcode.
    const fn alu(&mut self, bits: u8, op: AluOp, name: &'static str, cpu: Cpu, off: i32, divmul: bool) {
        let g32 = if divmul { Group::Divmul32 } else { Group::Base32 };
        let g64 = if divmul { Group::Divmul64 } else { Group::Base64 };
        let (k, x) = ((Reg, ZERO, Is(off), Any), (Reg, Reg, Is(off), ZERO));
        self.push(class::ALU | bits, Operation::Alu(op, Width::W32), name, cpu, g32, k);
        self.push(class::ALU | bits | X, Operation::Alu(op, Width::W32), name, cpu, g32, x);
        self.push(class::ALU64 | bits, Operation::Alu(op, Width::W64), name, cpu, g64, k);
        self.push(class::ALU64 | bits | X, Operation::Alu(op, Width::W64), name, cpu, g64, x);
    }

    const fn jmp(&mut self, bits: u8, op: JmpOp, name: &'static str, cpu: Cpu) {
        let (k, x) = ((Reg, ZERO, Any, Any), (Reg, Reg, Any, ZERO));
        self.push(class::JMP | bits, Operation::Jmp(op, Width::W64), name, cpu, Group::Base64, k);
        self.push(class::JMP | bits | X, Operation::Jmp(op, Width::W64), name, cpu, Group::Base64, x);
        self.push(class::JMP32 | bits, Operation::Jmp(op, Width::W32), name, Cpu::V3, Group::Base32, k);
        self.push(class::JMP32 | bits | X, Operation::Jmp(op, Width::W32), name, Cpu::V3, Group::Base32, x);
    }

    const fn atomic(&mut self, imm: i32, op: AtomicOp, fetch: bool, name: &'static str, cpu: Cpu) {
        let fields = (Reg, Reg, Any, Is(imm));
        let code = class::STX | mode::ATOMIC;
        self.push(code | size::W, Operation::Atomic(op, fetch, Size::W), name, cpu, Group::Atomic32, fields);
        self.push(code | size::DW, Operation::Atomic(op, fetch, Size::DW), name, cpu, Group::Atomic64, fields);
    }

    const fn memory(&mut self, bits: u8, s: Size) {
        let g = if matches!(s, Size::DW) { Group::Base64 } else { Group::Base32 };
        self.push(class::LDX | mode::MEM | bits, Operation::Load(s, false), "ldx", Cpu::V1, g, (Reg, Reg, Any, ZERO));
        self.push(class::ST | mode::MEM | bits, Operation::Store(s), "st", Cpu::V1, g, (Reg, ZERO, Any, Any));
        self.push(class::STX | mode::MEM | bits, Operation::Store(s), "stx", Cpu::V1, g, (Reg, Reg, Any, ZERO));
        let code = class::STX | mode::ATOMIC | bits;
        let (acq, rel) = (atomic::LOAD_ACQ, atomic::STORE_REL);
        let f = (Reg, Reg, Any, Is(acq));
        self.push(code, Operation::LoadAcquire(s), "load_acquire", Cpu::V4, Group::Linux, f);
        let f = (Reg, Reg, Any, Is(rel));
        self.push(code, Operation::StoreRelease(s), "store_release", Cpu::V4, Group::Linux, f);
        if !matches!(s, Size::DW) {
            let f = (Reg, Reg, Any, ZERO);
            self.push(class::LDX | mode::MEMSX | bits, Operation::Load(s, true), "ldxs", Cpu::V4, Group::Base64, f);
            let (ld, g) = (class::LD | bits, Group::Packet);
            self.push(ld | mode::ABS, Operation::LoadAbs(s), "ldabs", Cpu::V1, g, (ZERO, ZERO, ZERO, Any));
            self.push(ld | mode::IND, Operation::LoadInd(s), "ldind", Cpu::V1, g, (ZERO, Reg, ZERO, Any));
        }
    }
}

const BUILT: Builder = {
    let filler = Row {
        code: 0,
        kind: Operation::Exit,
        name: "",
        cpu: Cpu::V1,
        group: Group::Base32,
        dst: ZERO,
        src: ZERO,
        off: ZERO,
        imm: ZERO,
    };
    let mut b = Builder { rows: [filler; COUNT], len: 0 };
    b.alu(alu::ADD, AluOp::Add, "add", Cpu::V1, 0, false);
    b.alu(alu::SUB, AluOp::Sub, "sub", Cpu::V1, 0, false);
    b.alu(alu::MUL, AluOp::Mul, "mul", Cpu::V1, 0, true);
    b.alu(alu::DIV, AluOp::Div, "div", Cpu::V1, 0, true);
    b.alu(alu::DIV, AluOp::Sdiv, "sdiv", Cpu::V4, 1, true);
    b.alu(alu::OR, AluOp::Or, "or", Cpu::V1, 0, false);
    b.alu(alu::AND, AluOp::And, "and", Cpu::V1, 0, false);
    b.alu(alu::LSH, AluOp::Lsh, "lsh", Cpu::V1, 0, false);
    b.alu(alu::RSH, AluOp::Rsh, "rsh", Cpu::V1, 0, false);
    b.alu(alu::MOD, AluOp::Mod, "mod", Cpu::V1, 0, true);
    b.alu(alu::MOD, AluOp::Smod, "smod", Cpu::V4, 1, true);
    b.alu(alu::XOR, AluOp::Xor, "xor", Cpu::V1, 0, false);
    b.alu(alu::MOV, AluOp::Mov, "mov", Cpu::V1, 0, false);
    b.alu(alu::ARSH, AluOp::Arsh, "arsh", Cpu::V1, 0, false);
    let unary = (Reg, ZERO, ZERO, ZERO);
    b.push(class::ALU | alu::NEG, Operation::Neg(Width::W32), "neg", Cpu::V1, Group::Base32, unary);
    b.push(class::ALU64 | alu::NEG, Operation::Neg(Width::W64), "neg", Cpu::V1, Group::Base64, unary);
    let mov = alu::MOV | X;
    let mut i = 0;
    while i < 3 {
        let bits = [8u8, 16, 32][i];
        let f = (Reg, Reg, Is(bits as i32), ZERO);
        if bits < 32 {
            b.push(class::ALU | mov, Operation::Movsx(Width::W32, bits), "movs", Cpu::V4, Group::Base32, f);
        }
        b.push(class::ALU64 | mov, Operation::Movsx(Width::W64, bits), "movs", Cpu::V4, Group::Base64, f);
        let bits = bits * 2;
        let g = if bits == 64 { Group::Base64 } else { Group::Base32 };
        let f = (Reg, ZERO, ZERO, Is(bits as i32));
        b.push(class::ALU | alu::END, Operation::Endian(false, bits), "le", Cpu::V1, g, f);
        b.push(class::ALU | alu::END | X, Operation::Endian(true, bits), "be", Cpu::V1, g, f);
        b.push(class::ALU64 | alu::END, Operation::Bswap(bits), "bswap", Cpu::V4, g, f);
        i += 1;
    }
    let f = (Reg, Reg, Is(1), Is(1));
    b.push(class::ALU64 | mov, Operation::AddrSpaceCast, "addr_space_cast", Cpu::V4, Group::Linux, f);
    let f = (Reg, Reg, Is(1), Is(1 << 16));
    b.push(class::ALU64 | mov, Operation::AddrSpaceCast, "addr_space_cast", Cpu::V4, Group::Linux, f);
    b.jmp(jmp::JEQ, JmpOp::Eq, "jeq", Cpu::V1);
    b.jmp(jmp::JGT, JmpOp::Gt, "jgt", Cpu::V1);
    b.jmp(jmp::JGE, JmpOp::Ge, "jge", Cpu::V1);
    b.jmp(jmp::JSET, JmpOp::Set, "jset", Cpu::V1);
    b.jmp(jmp::JNE, JmpOp::Ne, "jne", Cpu::V1);
    b.jmp(jmp::JSGT, JmpOp::Sgt, "jsgt", Cpu::V1);
    b.jmp(jmp::JSGE, JmpOp::Sge, "jsge", Cpu::V1);
    b.jmp(jmp::JLT, JmpOp::Lt, "jlt", Cpu::V2);
    b.jmp(jmp::JLE, JmpOp::Le, "jle", Cpu::V2);
    b.jmp(jmp::JSLT, JmpOp::Slt, "jslt", Cpu::V2);
    b.jmp(jmp::JSLE, JmpOp::Sle, "jsle", Cpu::V2);
    b.push(opcode::JA, Operation::Ja(false), "ja", Cpu::V1, Group::Base64, (ZERO, ZERO, Any, ZERO));
    b.push(opcode::JA32, Operation::Ja(true), "jal", Cpu::V4, Group::Base32, (ZERO, ZERO, ZERO, Any));
    b.push(opcode::GOTOX, Operation::GotoX, "gotox", Cpu::V4, Group::Linux, (Reg, ZERO, ZERO, ZERO));
    let f = (ZERO, Is(pseudo::MAY_GOTO as i32), Any, ZERO);
    b.push(opcode::MAY_GOTO, Operation::MayGoto, "may_goto", Cpu::V4, Group::Linux, f);
    b.push(opcode::CALL, Operation::CallHelper, "call", Cpu::V1, Group::Base64, (ZERO, ZERO, ZERO, Any));
    let f = (ZERO, Is(pseudo::CALL as i32), ZERO, Any);
    b.push(opcode::CALL, Operation::CallLocal, "call", Cpu::V1, Group::Base64, f);
    let f = (ZERO, Is(pseudo::KFUNC_CALL as i32), Any, Any);
    b.push(opcode::CALL, Operation::CallKfunc, "call", Cpu::V1, Group::Base64, f);
    b.push(opcode::CALLX, Operation::CallReg, "callx", Cpu::V1, Group::Base64, (Reg, ZERO, ZERO, ZERO));
    b.push(opcode::EXIT, Operation::Exit, "exit", Cpu::V1, Group::Base64, (ZERO, ZERO, ZERO, ZERO));
    let mut kind = 0;
    while kind <= pseudo::MAP_IDX_VALUE {
        let f = (Reg, Is(kind as i32), ZERO, Any);
        b.push(opcode::LD_IMM64, Operation::LoadImm64(kind), "lddw", Cpu::V1, Group::Base64, f);
        kind += 1;
    }
    b.memory(size::B, Size::B);
    b.memory(size::H, Size::H);
    b.memory(size::W, Size::W);
    b.memory(size::DW, Size::DW);
    b.atomic(atomic::ADD, AtomicOp::Add, false, "add", Cpu::V1);
    b.atomic(atomic::OR, AtomicOp::Or, false, "or", Cpu::V3);
    b.atomic(atomic::AND, AtomicOp::And, false, "and", Cpu::V3);
    b.atomic(atomic::XOR, AtomicOp::Xor, false, "xor", Cpu::V3);
    b.atomic(atomic::ADD | atomic::FETCH, AtomicOp::Add, true, "add", Cpu::V3);
    b.atomic(atomic::OR | atomic::FETCH, AtomicOp::Or, true, "or", Cpu::V3);
    b.atomic(atomic::AND | atomic::FETCH, AtomicOp::And, true, "and", Cpu::V3);
    b.atomic(atomic::XOR | atomic::FETCH, AtomicOp::Xor, true, "xor", Cpu::V3);
    b.atomic(atomic::XCHG, AtomicOp::Xchg, true, "xchg", Cpu::V3);
    b.atomic(atomic::CMPXCHG, AtomicOp::Cmpxchg, true, "cmpxchg", Cpu::V3);
    // Stable insertion sort by opcode, so that the rows of one opcode stand together.
    let mut i = 1;
    while i < b.len {
        let mut j = i;
        while j > 0 && b.rows[j - 1].code > b.rows[j].code {
            let t = b.rows[j];
            b.rows[j] = b.rows[j - 1];
            b.rows[j - 1] = t;
            j -= 1;
        }
        i += 1;
    }
    b
};

const LEN: usize = BUILT.len;

/// All instructions, by opcode.
pub static ROWS: [Row; LEN] = {
    let mut rows = [BUILT.rows[0]; LEN];
    let mut i = 0;
    while i < LEN {
        rows[i] = BUILT.rows[i];
        i += 1;
    }
    rows
};

/// Where the rows of each opcode start; one more entry than opcodes, so that the next one is the end.
static STARTS: [u16; 257] = {
    let mut starts = [LEN as u16; 257];
    let mut i = LEN;
    let mut code = 256;
    while code > 0 {
        code -= 1;
        while i > 0 && BUILT.rows[i - 1].code as usize >= code {
            i -= 1;
        }
        starts[code] = i as u16;
    }
    starts
};

/// The rows of one opcode; empty when there is no such instruction.
pub fn rows_of(code: u8) -> &'static [Row] {
    let (from, to) = (STARTS[code as usize], STARTS[code as usize + 1]);
    &ROWS[from as usize..to as usize]
}
