//! Instructions being written, with labels.

use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, X, alu, class, jmp, mode, pseudo, size};

/// A place that jumps go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// One function being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Code {
    pub(super) insns: Vec<Insn>,
    labels: Vec<Option<usize>>,
    jumps: Vec<(usize, Label)>,
    /// Calls of functions by number.
    pub(super) calls: Vec<(usize, usize)>,
}

/// Size bits of an access of so many bytes.
fn size_bits(bytes: u8) -> u8 {
    match bytes {
        1 => size::B,
        2 => size::H,
        4 => size::W,
        _ => size::DW,
    }
}

impl Code {
    pub(super) fn push(&mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.insns.push(Insn::new(code, dst, src, off, imm));
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub(super) fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.insns.len());
    }

    pub(super) fn mov(&mut self, dst: u8, src: u8) {
        self.push(class::ALU64 | alu::MOV | X, dst, src, 0, 0);
    }

    pub(super) fn mov_imm(&mut self, dst: u8, imm: i32) {
        self.push(class::ALU64 | alu::MOV, dst, 0, 0, imm);
    }

    pub(super) fn add_imm(&mut self, dst: u8, imm: i32) {
        self.push(class::ALU64 | alu::ADD, dst, 0, 0, imm);
    }

    pub(super) fn imm64(&mut self, dst: u8, value: u64) {
        self.push(opcode::LD_IMM64, dst, 0, 0, value as i32);
        self.push(0, 0, 0, 0, (value >> 32) as i32);
    }

    pub(super) fn map(&mut self, dst: u8, map: usize) {
        self.push(opcode::LD_IMM64, dst, pseudo::MAP_FD, 0, map as i32);
        self.push(0, 0, 0, 0, 0);
    }

    pub(super) fn load(&mut self, bytes: u8, dst: u8, base: u8, off: i16) {
        self.push(class::LDX | mode::MEM | size_bits(bytes), dst, base, off, 0);
    }

    pub(super) fn store(&mut self, bytes: u8, base: u8, off: i16, src: u8) {
        self.push(class::STX | mode::MEM | size_bits(bytes), base, src, off, 0);
    }

    pub(super) fn store_imm(&mut self, bytes: u8, base: u8, off: i16, imm: i32) {
        self.push(class::ST | mode::MEM | size_bits(bytes), base, 0, off, imm);
    }

    pub(super) fn atomic(&mut self, bytes: u8, base: u8, off: i16, src: u8, op: i32) {
        self.push(class::STX | mode::ATOMIC | size_bits(bytes), base, src, off, op);
    }

    pub(super) fn helper(&mut self, id: u32) {
        self.push(opcode::CALL, 0, 0, 0, id as i32);
    }

    pub(super) fn call(&mut self, function: usize) {
        self.calls.push((self.insns.len(), function));
        self.push(opcode::CALL, 0, pseudo::CALL, 0, 0);
    }

    /// The address of a function, for callbacks.
    pub(super) fn function(&mut self, dst: u8, function: usize) {
        self.calls.push((self.insns.len(), function));
        self.push(opcode::LD_IMM64, dst, pseudo::FUNC, 0, 0);
        self.push(0, 0, 0, 0, 0);
    }

    pub(super) fn kfunc(&mut self, id: u32) {
        self.push(opcode::CALL, 0, pseudo::KFUNC_CALL, 0, id as i32);
    }

    /// Jumps unless the program may go on.
    pub(super) fn may_goto(&mut self, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.push(opcode::MAY_GOTO, 0, 0, 0, 0);
    }

    /// A packet load of classic BPF; `index` is a register that is added to the place.
    pub(super) fn legacy(&mut self, bytes: u8, index: Option<u8>, offset: i32) {
        let mode = if index.is_some() { mode::IND } else { mode::ABS };
        self.push(class::LD | mode | size_bits(bytes), 0, index.unwrap_or(0), 0, offset);
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.jumps.push((self.insns.len(), to));
        self.push(class::JMP | jmp::JA, 0, 0, 0, 0);
    }

    /// A conditional jump; `src` is a register or a number.
    pub(super) fn branch(&mut self, wide: bool, op: u8, dst: u8, src: Result<u8, i32>, to: Label) {
        self.jumps.push((self.insns.len(), to));
        let class = if wide { class::JMP } else { class::JMP32 };
        match src {
            Ok(reg) => self.push(class | op | X, dst, reg, 0, 0),
            Err(imm) => self.push(class | op, dst, 0, 0, imm),
        }
    }

    /// Ends the function with a number.
    pub(super) fn exit_with(&mut self, result: i32) {
        self.mov_imm(0, result);
        self.exit();
    }

    pub(super) fn exit(&mut self) {
        self.push(opcode::EXIT, 0, 0, 0, 0);
    }

    /// Writes jump distances; false when one is too far.
    pub(super) fn resolve(&mut self) -> bool {
        for &(at, label) in &self.jumps {
            let Some(target) = self.labels[label.0] else { return false };
            let Ok(distance) = i16::try_from(target as i64 - at as i64 - 1) else { return false };
            self.insns[at].off = distance;
        }
        true
    }
}
