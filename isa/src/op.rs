//! The decoded form of an instruction: what it does, with nothing left to interpret.

/// Access size of a load or store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Size {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
    /// Eight bytes.
    DW,
}

impl Size {
    /// Size in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::B => 1,
            Self::H => 2,
            Self::W => 4,
            Self::DW => 8,
        }
    }
}

/// Width of an arithmetic operation or comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// Low 32 bits; a 32-bit result clears the upper half.
    W32,
    /// All 64 bits.
    W64,
}

/// Second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A register.
    Reg(u8),
    /// An immediate, sign-extended to the operation's width.
    Imm(i32),
}

/// Binary arithmetic operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AluOp {
    /// `dst += src`
    Add,
    /// `dst -= src`
    Sub,
    /// `dst *= src`
    Mul,
    /// Unsigned `dst /= src`; zero when `src` is zero.
    Div,
    /// Signed `dst s/= src`; zero when `src` is zero.
    Sdiv,
    /// `dst |= src`
    Or,
    /// `dst &= src`
    And,
    /// `dst <<= src`, shift masked to the width.
    Lsh,
    /// `dst >>= src` (logical), shift masked to the width.
    Rsh,
    /// Unsigned `dst %= src`; `dst` unchanged when `src` is zero.
    Mod,
    /// Signed `dst s%= src`; `dst` unchanged when `src` is zero.
    Smod,
    /// `dst ^= src`
    Xor,
    /// `dst = src`
    Mov,
    /// `dst s>>= src`, shift masked to the width.
    Arsh,
}

/// Comparison of a conditional jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JmpOp {
    /// `==`
    Eq,
    /// Unsigned `>`
    Gt,
    /// Unsigned `>=`
    Ge,
    /// `&` not zero
    Set,
    /// `!=`
    Ne,
    /// Signed `>`
    Sgt,
    /// Signed `>=`
    Sge,
    /// Unsigned `<`
    Lt,
    /// Unsigned `<=`
    Le,
    /// Signed `<`
    Slt,
    /// Signed `<=`
    Sle,
}

/// Read-modify-write operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    /// Add.
    Add,
    /// Or.
    Or,
    /// And.
    And,
    /// Exclusive or.
    Xor,
    /// Exchange; always fetches.
    Xchg,
    /// Compare with `r0` and exchange; the old value goes to `r0`.
    Cmpxchg,
}

/// What a call names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// A helper by number.
    Helper(u32),
    /// A subprogram; the operand is the distance in slots from the next instruction.
    Local(i32),
    /// A kernel function by BTF id, with the index of its BTF in the descriptor array.
    Kfunc {
        /// BTF id of the function.
        id: u32,
        /// Zero for the kernel's own BTF.
        btf_index: i16,
    },
    /// The helper or function whose number is in a register (`callx`).
    Reg(u8),
}

/// What a 64-bit immediate means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImmKind {
    /// A plain number.
    Value(u64),
    /// A map, by descriptor or (inside ebpfkit) by index in the object.
    Map(u32),
    /// An address inside a map's first value.
    MapValue {
        /// The map.
        map: u32,
        /// Byte offset inside the value.
        off: u32,
    },
    /// A kernel variable by BTF id, with the descriptor of its BTF in the high half.
    BtfVar {
        /// BTF id of the variable.
        id: u32,
        /// Zero for the kernel's own BTF.
        btf_fd: u32,
    },
    /// A subprogram's address, as the distance in slots from the next instruction.
    Func(i32),
    /// A map by index into the load's descriptor array.
    MapIdx(u32),
    /// An address inside the value of a map by index.
    MapIdxValue {
        /// The map's index.
        index: u32,
        /// Byte offset inside the value.
        off: u32,
    },
}

/// A decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Binary arithmetic.
    Alu {
        /// Operation.
        op: AluOp,
        /// Width.
        width: Width,
        /// Destination.
        dst: u8,
        /// Operand.
        src: Operand,
    },
    /// Sign-extending move of the low `bits` (8, 16 or 32).
    Movsx {
        /// Width of the result.
        width: Width,
        /// Source bits.
        bits: u8,
        /// Destination.
        dst: u8,
        /// Source.
        src: u8,
    },
    /// `dst = -dst`
    Neg {
        /// Width.
        width: Width,
        /// Destination.
        dst: u8,
    },
    /// Conversion to or from the given byte order; truncates to `bits`.
    Endian {
        /// To big endian rather than little.
        big: bool,
        /// 16, 32 or 64.
        bits: u8,
        /// Destination.
        dst: u8,
    },
    /// Unconditional byte swap; truncates to `bits`.
    Bswap {
        /// 16, 32 or 64.
        bits: u8,
        /// Destination.
        dst: u8,
    },
    /// Cast between address spaces (arena); `imm` holds the spaces.
    AddrSpaceCast {
        /// Destination.
        dst: u8,
        /// Source.
        src: u8,
        /// Source space in the low half, destination space in the high half, as encoded.
        imm: u32,
    },
    /// 64-bit immediate load (two slots).
    LoadImm64 {
        /// Destination.
        dst: u8,
        /// Meaning of the immediate.
        imm: ImmKind,
    },
    /// `r0 = ntoh(*(size *)packet[imm])`, legacy; ends the program when out of range.
    LoadAbs {
        /// Access size, at most four bytes.
        size: Size,
        /// Offset.
        imm: i32,
    },
    /// `r0 = ntoh(*(size *)packet[src + imm])`, legacy.
    LoadInd {
        /// Access size, at most four bytes.
        size: Size,
        /// Offset register.
        src: u8,
        /// Offset.
        imm: i32,
    },
    /// `dst = *(size *)(src + off)`
    Load {
        /// Access size.
        size: Size,
        /// Sign-extend to 64 bits.
        signed: bool,
        /// Destination.
        dst: u8,
        /// Base.
        src: u8,
        /// Byte offset.
        off: i16,
    },
    /// `*(size *)(dst + off) = src`
    Store {
        /// Access size.
        size: Size,
        /// Base.
        dst: u8,
        /// Value.
        src: Operand,
        /// Byte offset.
        off: i16,
    },
    /// Atomic read-modify-write.
    Atomic {
        /// Operation.
        op: AtomicOp,
        /// Whether the old value is returned (in `src`, or `r0` for [`AtomicOp::Cmpxchg`]).
        fetch: bool,
        /// Access size, `W` or `DW`.
        size: Size,
        /// Base.
        dst: u8,
        /// Value.
        src: u8,
        /// Byte offset.
        off: i16,
    },
    /// `dst = load_acquire((size *)(src + off))`
    LoadAcquire {
        /// Access size.
        size: Size,
        /// Destination.
        dst: u8,
        /// Base.
        src: u8,
        /// Byte offset.
        off: i16,
    },
    /// `store_release((size *)(dst + off), src)`
    StoreRelease {
        /// Access size.
        size: Size,
        /// Base.
        dst: u8,
        /// Value.
        src: u8,
        /// Byte offset.
        off: i16,
    },
    /// Unconditional jump; `off` slots from the next instruction (`goto` and `gotol`).
    Ja {
        /// Distance.
        off: i32,
        /// Encoded as `gotol`.
        long: bool,
    },
    /// Conditional jump.
    Jmp {
        /// Comparison.
        op: JmpOp,
        /// Width.
        width: Width,
        /// Left side.
        dst: u8,
        /// Right side.
        src: Operand,
        /// Distance in slots from the next instruction.
        off: i16,
    },
    /// `gotox`: jump to the instruction whose address a register holds.
    GotoX {
        /// The register.
        dst: u8,
    },
    /// `may_goto`: jump when the loop budget is used up.
    MayGoto {
        /// Distance in slots from the next instruction.
        off: i16,
    },
    /// Call.
    Call(CallKind),
    /// Return to the caller, or end of the program.
    Exit,
}

/// Why a slot is not an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No instruction has this opcode.
    #[error("insn {at}: unknown opcode {code:#04x}")]
    UnknownOpcode {
        /// Slot.
        at: usize,
        /// Opcode byte.
        code: u8,
    },
    /// A field that must be zero is not.
    #[error("insn {at}: opcode {code:#04x} uses reserved field {field}")]
    Reserved {
        /// Slot.
        at: usize,
        /// Opcode byte.
        code: u8,
        /// `dst`, `src`, `off` or `imm`.
        field: &'static str,
    },
    /// A register number above 10.
    #[error("insn {at}: register r{reg} does not exist")]
    BadRegister {
        /// Slot.
        at: usize,
        /// Number found.
        reg: u8,
    },
    /// The program ends before this slot.
    #[error("insn {at}: past the end of the program")]
    OutOfRange {
        /// Slot.
        at: usize,
    },
    /// A 64-bit immediate load without its second slot.
    #[error("insn {at}: 64-bit immediate load without a valid second slot")]
    TruncatedImm64 {
        /// Slot.
        at: usize,
    },
}
