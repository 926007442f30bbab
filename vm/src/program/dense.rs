//! The dense form that the interpreter runs: one fixed-size record an instruction, nothing left to look up.

/// One decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inst {
    /// What to do.
    pub op: Op,
    /// Destination register.
    pub dst: u8,
    /// Source register.
    pub src: u8,
    /// Memory: byte offset. Jumps and local calls: index of the target in the dense code.
    pub off: i32,
    /// Immediate, extended to 64 bits as the operation wants it; or an index, by operation.
    pub imm: u64,
}

impl Inst {
    /// Where control never is: behind the last instruction, and in the place of dead code.
    pub(crate) const END: Self = Self { op: Op::End, dst: 0, src: 0, off: 0, imm: 0 };
}

/// Operations. `64` and `32` are widths, `X` takes a register, `K` the immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum Op {
    Add64X, Add64K, Add32X, Add32K,
    Sub64X, Sub64K, Sub32X, Sub32K,
    Mul64X, Mul64K, Mul32X, Mul32K,
    Div64X, Div64K, Div32X, Div32K,
    Sdiv64X, Sdiv64K, Sdiv32X, Sdiv32K,
    Or64X, Or64K, Or32X, Or32K,
    And64X, And64K, And32X, And32K,
    Lsh64X, Lsh64K, Lsh32X, Lsh32K,
    Rsh64X, Rsh64K, Rsh32X, Rsh32K,
    Mod64X, Mod64K, Mod32X, Mod32K,
    Smod64X, Smod64K, Smod32X, Smod32K,
    Xor64X, Xor64K, Xor32X, Xor32K,
    Arsh64X, Arsh64K, Arsh32X, Arsh32K,
    Mov64X, Mov32X,
    /// `dst = imm`, all 64 bits; also 32-bit moves and every 64-bit immediate.
    MovK,
    Movsx8, Movsx16, Movsx32, Movsx8W, Movsx16W,
    Neg64, Neg32,
    Trunc16, Trunc32, Swap16, Swap32, Swap64, Nop,
    /// Arena address to what user space sees; `imm` is the upper half.
    CastUser,
    Load8, Load16, Load32, Load64,
    LoadS8, LoadS16, LoadS32,
    /// Loads through a pointer that may be stale, or into an arena; `imm` is the size, plus 16 for sign extension.
    /// What is not there reads as zero.
    LoadProbe,
    /// A field of a map as the kernel's struct.
    LoadMap,
    /// Stores into an arena; `imm` is the size. Where no page is, the value is lost.
    StoreArenaX,
    /// The same of `imm`; `src` is the size.
    StoreArenaK,
    Store8X, Store16X, Store32X, Store64X,
    Store8K, Store16K, Store32K, Store64K,
    /// The same inside the function's own frame, checked when the program was decoded.
    FrameLoad8, FrameLoad16, FrameLoad32, FrameLoad64,
    FrameStore8X, FrameStore16X, FrameStore32X, FrameStore64X,
    FrameStore8K, FrameStore16K, FrameStore32K, FrameStore64K,
    /// Atomic read-modify-write; `imm` is an [`Rmw`] number.
    Atomic,
    LoadAcq, StoreRel,
    /// Legacy packet loads; `imm` is the offset, `off` the size.
    LoadAbs, LoadInd,
    Ja,
    Jeq64X, Jeq64K, Jeq32X, Jeq32K,
    Jne64X, Jne64K, Jne32X, Jne32K,
    Jgt64X, Jgt64K, Jgt32X, Jgt32K,
    Jge64X, Jge64K, Jge32X, Jge32K,
    Jlt64X, Jlt64K, Jlt32X, Jlt32K,
    Jle64X, Jle64K, Jle32X, Jle32K,
    Jset64X, Jset64K, Jset32X, Jset32K,
    Jsgt64X, Jsgt64K, Jsgt32X, Jsgt32K,
    Jsge64X, Jsge64K, Jsge32X, Jsge32K,
    Jslt64X, Jslt64K, Jslt32X, Jslt32K,
    Jsle64X, Jsle64K, Jsle32X, Jsle32K,
    MayGoto,
    /// `imm` is an index into the program's helper functions.
    CallHelper,
    TailCall,
    /// `imm` is what entering the function costs.
    CallLocal,
    CallReg,
    Exit,
    /// No instruction: the end of the code, so that running past it is a fault.
    End,
}

/// A match with the loads and stores of memory that is looked for: `$load!` gets size and extension, `$store!` size and
/// operand, `src` or `imm`; other arms follow.
macro_rules! match_memory {
    ($op:expr, $load:ident, $store:ident, $($arms:tt)*) => {
        match $op {
            Op::Load8 => $load!(1, |v| v),
            Op::Load16 => $load!(2, |v| v),
            Op::Load32 => $load!(4, |v| v),
            Op::Load64 => $load!(8, |v| v),
            Op::LoadS8 => $load!(1, |v| v as i8 as i64 as u64),
            Op::LoadS16 => $load!(2, |v| v as i16 as i64 as u64),
            Op::LoadS32 => $load!(4, |v| v as i32 as i64 as u64),
            Op::Store8X => $store!(1, src),
            Op::Store16X => $store!(2, src),
            Op::Store32X => $store!(4, src),
            Op::Store64X => $store!(8, src),
            Op::Store8K => $store!(1, imm),
            Op::Store16K => $store!(2, imm),
            Op::Store32K => $store!(4, imm),
            Op::Store64K => $store!(8, imm),
            $($arms)*
        }
    };
}
pub(crate) use match_memory;

impl Op {
    /// Whether it jumps, always or on a condition; `off` is the target then.
    pub(crate) fn is_jump(self) -> bool {
        self as u8 >= Self::Ja as u8 && self as u8 <= Self::Jsle32K as u8
    }

    /// Whether `off` is a target.
    pub(crate) fn has_target(self) -> bool {
        self.is_jump() || matches!(self, Self::CallLocal | Self::MayGoto)
    }
}

/// An atomic operation in a number: operation, fetch bit (8), 64-bit bit (16), arena bit (32).
pub(crate) struct Rmw;

impl Rmw {
    pub(crate) const FETCH: u64 = 8;
    pub(crate) const WIDE: u64 = 16;
    pub(crate) const ARENA: u64 = 32;

    pub(crate) fn number(op: ebpfkit_isa::AtomicOp, fetch: bool, wide: bool) -> u64 {
        use ebpfkit_isa::AtomicOp as A;
        let op = match op {
            A::Add => 0,
            A::Or => 1,
            A::And => 2,
            A::Xor => 3,
            A::Xchg => 4,
            A::Cmpxchg => 5,
        };
        op + u64::from(fetch) * Self::FETCH + u64::from(wide) * Self::WIDE
    }
}
