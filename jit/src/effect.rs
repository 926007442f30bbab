//! What instructions change, as far as translation asks.

use ebpfkit_isa::Op;

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It gives a register another value and does nothing else.
    Register(u8),
    /// It writes memory and does nothing else.
    Store,
    /// It jumps, calls, ends the function, or touches memory in ways of its own.
    Other,
}

impl Effect {
    /// That of an instruction.
    pub(crate) fn of(op: &Op) -> Self {
        match *op {
            Op::Alu { dst, .. }
            | Op::Movsx { dst, .. }
            | Op::Neg { dst, .. }
            | Op::Endian { dst, .. }
            | Op::Bswap { dst, .. }
            | Op::AddrSpaceCast { dst, .. }
            | Op::LoadImm64 { dst, .. }
            | Op::Load { dst, .. } => Self::Register(dst),
            Op::Store { .. } => Self::Store,
            _ => Self::Other,
        }
    }
}
