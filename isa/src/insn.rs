//! One instruction slot and its byte encoding (RFC 9669 section 3).

use crate::opcode::size;

/// Byte order of an encoded program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Endian {
    /// Least significant byte first (`bpfel`).
    #[default]
    Little,
    /// Most significant byte first (`bpfeb`).
    Big,
}

/// One 8-byte instruction slot, fields as encoded.
///
/// A 64-bit immediate load takes two slots; the second has `code == 0` and carries the high half in `imm`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Insn {
    /// Opcode byte; see [`crate::opcode`].
    pub code: u8,
    /// Destination register, 0 to 15 (only 0 to 10 are valid).
    pub dst: u8,
    /// Source register or pseudo kind, 0 to 15.
    pub src: u8,
    /// Signed 16-bit offset, in bytes for memory and in slots for jumps.
    pub off: i16,
    /// Signed 32-bit immediate.
    pub imm: i32,
}

impl Insn {
    /// Bytes in one slot.
    pub const SIZE: usize = 8;

    /// A slot from its fields.
    pub const fn new(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Self {
        Self { code, dst, src, off, imm }
    }

    /// Reads one slot.
    pub fn from_bytes(b: [u8; 8], endian: Endian) -> Self {
        match endian {
            Endian::Little => Self {
                code: b[0],
                dst: b[1] & 0xf,
                src: b[1] >> 4,
                off: i16::from_le_bytes([b[2], b[3]]),
                imm: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
            },
            Endian::Big => Self {
                code: b[0],
                dst: b[1] >> 4,
                src: b[1] & 0xf,
                off: i16::from_be_bytes([b[2], b[3]]),
                imm: i32::from_be_bytes([b[4], b[5], b[6], b[7]]),
            },
        }
    }

    /// Writes one slot. Registers are masked to four bits.
    pub fn to_bytes(self, endian: Endian) -> [u8; 8] {
        let (dst, src) = (self.dst & 0xf, self.src & 0xf);
        let (regs, off, imm) = match endian {
            Endian::Little => (dst | src << 4, self.off.to_le_bytes(), self.imm.to_le_bytes()),
            Endian::Big => (src | dst << 4, self.off.to_be_bytes(), self.imm.to_be_bytes()),
        };
        [self.code, regs, off[0], off[1], imm[0], imm[1], imm[2], imm[3]]
    }

    /// Reads a whole program; `None` when the length is not a multiple of eight.
    pub fn read_all(bytes: &[u8], endian: Endian) -> Option<Vec<Self>> {
        let (slots, rest) = bytes.as_chunks::<8>();
        rest.is_empty().then(|| slots.iter().map(|s| Self::from_bytes(*s, endian)).collect())
    }

    /// Writes a whole program.
    pub fn write_all(insns: &[Self], endian: Endian) -> Vec<u8> {
        insns.iter().flat_map(|i| i.to_bytes(endian)).collect()
    }

    /// Instruction class, the low three bits of the opcode ([`crate::opcode::class`]).
    #[inline]
    pub const fn class(self) -> u8 {
        self.code & 0x07
    }

    /// Operation bits of an ALU or jump opcode.
    #[inline]
    pub const fn op(self) -> u8 {
        self.code & 0xf0
    }

    /// Whether the operand is a register (`BPF_X`) rather than the immediate (`BPF_K`).
    #[inline]
    pub const fn is_src_reg(self) -> bool {
        self.code & crate::opcode::X != 0
    }

    /// Access size bits of a load or store opcode.
    #[inline]
    pub const fn size_bits(self) -> u8 {
        self.code & 0x18
    }

    /// Bytes that a load or store moves.
    #[inline]
    pub const fn access_size(self) -> u32 {
        match self.size_bits() {
            size::B => 1,
            size::H => 2,
            size::W => 4,
            _ => 8,
        }
    }

    /// Mode bits of a load or store opcode.
    #[inline]
    pub const fn mode(self) -> u8 {
        self.code & 0xe0
    }

    /// Whether this is the first slot of a 64-bit immediate load.
    #[inline]
    pub const fn is_ld_imm64(self) -> bool {
        self.code == crate::opcode::LD_IMM64
    }

    /// The 64-bit immediate of a two-slot load, `next` being the second slot.
    pub const fn imm64(self, next: Self) -> u64 {
        (self.imm as u32 as u64) | (next.imm as u32 as u64) << 32
    }
}

impl std::fmt::Debug for Insn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({:02x}) r{} r{} {:+} {:#x}", self.code, self.dst, self.src, self.off, self.imm)
    }
}
