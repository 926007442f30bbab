//! From slots to the dense form.

use super::cost::costs;
use super::dense::{Inst, Op, Rmw};
use super::loops::loop_jumps;
use super::step::{Step, steps};
use super::{LoadError, Pieces};
use crate::native::Access;
use ebpfkit_abi::helpers::id;
use ebpfkit_isa::{AluOp, CallKind, ImmKind, JmpOp, Op as Isa, Operand, R10, STACK_SIZE, Size, Width, decode};

/// The dense form of a program and where it came from.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// One for each instruction.
    pub insts: Vec<Inst>,
    /// What runs, by the same index.
    pub steps: Vec<Step>,
    /// By dense index: the slot.
    pub slots: Vec<u32>,
    /// By function: dense index of its first instruction.
    pub entries: Vec<u32>,
    /// By function: what entering it costs.
    pub costs: Vec<u64>,
    /// By dense index: a jump that closes a loop.
    pub loop_jumps: Vec<bool>,
}

/// Decodes a program. With `verified` the accesses to the context are translated, so that no check is needed later.
pub(crate) fn code(pieces: &Pieces, translate: bool) -> Result<Code, LoadError> {
    let insns = &pieces.insns;
    let mut dense_of = vec![u32::MAX; insns.len()];
    let mut code = Code::default();
    // What no path reaches of a verified program may be anything.
    let reached = pieces.verified.as_ref().map(|v| v.facts().reached.as_slice());
    let mut at = 0;
    while at < insns.len() {
        dense_of[at] = code.insts.len() as u32;
        let (op, slots) = decode(insns, at)?;
        code.slots.push(at as u32);
        let is_unreached = reached.is_some_and(|r| r.get(at) == Some(&false));
        let i = match inst(pieces, op, at, translate) {
            Err(_) if is_unreached => Inst::END,
            i => i?,
        };
        // Engines rely on it.
        assert!(i.dst < 16 && i.src < 16, "registers have four bits");
        code.insts.push(i);
        at += slots;
    }
    // Slots to dense indices; a target that is no instruction was refused with the functions.
    for n in 0..code.insts.len() {
        let i = &mut code.insts[n];
        if i.op.has_target() {
            let target = code.slots[n] as i64 + 1 + i64::from(i.off);
            let dense = usize::try_from(target).ok().and_then(|t| dense_of.get(t)).filter(|d| **d != u32::MAX);
            let slot = code.slots[n] as usize;
            i.off = *dense.ok_or(LoadError::BadTarget { at: slot, target })? as i32;
        }
    }
    code.slots.push(insns.len() as u32);
    code.insts.push(Inst::END);
    code.entries = pieces.functions.iter().map(|f| dense_of[*f]).collect();
    if let Some(function) = code.entries.iter().position(|e| *e == u32::MAX) {
        let target = pieces.functions[function];
        return Err(LoadError::BadTarget { at: target, target: target as i64 });
    }
    code.costs = costs(&code.insts, &code.entries);
    for i in code.insts.iter_mut().filter(|i| i.op == Op::CallLocal) {
        let function = code.entries.binary_search(&(i.off as u32));
        i.imm = function.map_or(1, |f| code.costs[f]);
    }
    code.loop_jumps = loop_jumps(&code.insts);
    code.steps = steps(&code.insts, &code.loop_jumps, !translate);
    Ok(code)
}

/// Picks one of four operations by width and operand.
fn pick(ops: [Op; 4], width: Width, src: Operand) -> Op {
    match (width, src) {
        (Width::W64, Operand::Reg(_)) => ops[0],
        (Width::W64, Operand::Imm(_)) => ops[1],
        (Width::W32, Operand::Reg(_)) => ops[2],
        (Width::W32, Operand::Imm(_)) => ops[3],
    }
}

fn operand(width: Width, src: Operand) -> (u8, u64) {
    match (src, width) {
        (Operand::Reg(r), _) => (r, 0),
        (Operand::Imm(n), Width::W64) => (0, i64::from(n) as u64),
        (Operand::Imm(n), Width::W32) => (0, u64::from(n as u32)),
    }
}

fn inst(pieces: &Pieces, op: Isa, at: usize, translate: bool) -> Result<Inst, LoadError> {
    let make = |op, dst, src, off, imm| Inst { op, dst, src, off, imm };
    if pieces.insns[at].writes_frame_pointer() {
        return Ok(make(Op::CallHelper, 0, 0, 0, pieces.call_at(at).unwrap_or_default() as u64));
    }
    let native_big = cfg!(target_endian = "big");
    Ok(match op {
        Isa::Alu { op: AluOp::Mov, width, dst, src: Operand::Reg(src) } => {
            make(if width == Width::W64 { Op::Mov64X } else { Op::Mov32X }, dst, src, 0, 0)
        }
        Isa::Alu { op, width, dst, src } => {
            let (reg, imm) = operand(width, src);
            make(pick(alu(op), width, src), dst, reg, 0, imm)
        }
        Isa::Movsx { width, bits, dst, src } => {
            let op = match (width, bits) {
                (Width::W64, 8) => Op::Movsx8,
                (Width::W64, 16) => Op::Movsx16,
                (Width::W64, _) => Op::Movsx32,
                (Width::W32, 8) => Op::Movsx8W,
                (Width::W32, _) => Op::Movsx16W,
            };
            make(op, dst, src, 0, 0)
        }
        Isa::Neg { width, dst } => make(if width == Width::W64 { Op::Neg64 } else { Op::Neg32 }, dst, 0, 0, 0),
        Isa::Endian { big, bits, dst } => make(endian(bits, big != native_big), dst, 0, 0, 0),
        Isa::Bswap { bits, dst } => make(endian(bits, true), dst, 0, 0, 0),
        Isa::AddrSpaceCast { dst, src, imm } => {
            let arena = pieces.arena().ok_or_else(|| unsupported(at, "addr_space_cast without an arena map"))?;
            // A program holds 32-bit addresses, whose upper half only user space needs.
            match imm {
                1 => make(Op::Mov32X, dst, src, 0, 0),
                _ => make(Op::CastUser, dst, src, 0, arena.user_start() & !u64::from(u32::MAX)),
            }
        }
        Isa::LoadImm64 { dst, imm } => make(Op::MovK, dst, 0, 0, imm64(pieces, imm, at)?),
        Isa::LoadAbs { size, imm } => make(Op::LoadAbs, 0, 0, size.bytes() as i32, i64::from(imm) as u64),
        Isa::LoadInd { size, src, imm } => make(Op::LoadInd, 0, src, size.bytes() as i32, i64::from(imm) as u64),
        Isa::Load { size, signed, dst, src, off } => {
            let (size, off) = address(pieces, at, size, off, false, translate)?;
            let how = size.bytes() as u64 + if signed { 16 } else { 0 };
            if pieces.reads_map(at) {
                return Ok(make(Op::LoadMap, dst, src, off, how));
            }
            if pieces.probed(at) {
                return Ok(make(Op::LoadProbe, dst, src, off, how));
            }
            let op = if !translate && !signed && in_frame(src, size, off) {
                [Op::FrameLoad8, Op::FrameLoad16, Op::FrameLoad32, Op::FrameLoad64][size as usize]
            } else {
                load(size, signed)
            };
            make(op, dst, src, off, 0)
        }
        Isa::Store { size, dst, src, off } if translate && pieces.is_indirect(at, off, src) => {
            let (reg, imm) = operand(Width::W64, src);
            match src {
                Operand::Reg(_) => make(Op::StoreArenaX, dst, reg, off.into(), size.bytes() as u64),
                Operand::Imm(_) => make(Op::StoreArenaK, dst, size.bytes() as u8, off.into(), imm),
            }
        }
        Isa::Store { size, dst, src, off } => {
            let (size, off) = address(pieces, at, size, off, true, translate)?;
            let (reg, imm) = operand(Width::W64, src);
            let own = !translate && in_frame(dst, size, off);
            let ops = match src {
                Operand::Reg(_) if own => [Op::FrameStore8X, Op::FrameStore16X, Op::FrameStore32X, Op::FrameStore64X],
                Operand::Imm(_) if own => [Op::FrameStore8K, Op::FrameStore16K, Op::FrameStore32K, Op::FrameStore64K],
                Operand::Reg(_) => [Op::Store8X, Op::Store16X, Op::Store32X, Op::Store64X],
                Operand::Imm(_) => [Op::Store8K, Op::Store16K, Op::Store32K, Op::Store64K],
            };
            make(ops[size as usize], dst, reg, off, imm)
        }
        Isa::Atomic { op, fetch, size, dst, src, off } => {
            let arena = if translate && pieces.is_arena(at) { Rmw::ARENA } else { 0 };
            make(Op::Atomic, dst, src, off.into(), Rmw::number(op, fetch, size == Size::DW) + arena)
        }
        Isa::LoadAcquire { size, dst, src, off } => {
            let arena = if translate && pieces.is_arena(at) { Rmw::ARENA } else { 0 };
            make(Op::LoadAcq, dst, src, off.into(), size.bytes() as u64 + arena)
        }
        Isa::StoreRelease { size, dst, src, off } => {
            let arena = if translate && pieces.is_arena(at) { Rmw::ARENA } else { 0 };
            make(Op::StoreRel, dst, src, off.into(), size.bytes() as u64 + arena)
        }
        Isa::Ja { off, .. } => make(Op::Ja, 0, 0, off, 0),
        Isa::Jmp { op, width, dst, src, off } => {
            let (reg, imm) = operand(width, src);
            make(pick(jmp(op), width, src), dst, reg, off.into(), imm)
        }
        Isa::GotoX { .. } => return Err(unsupported(at, "jumps to the address in a register".to_owned())),
        Isa::MayGoto { off } => make(Op::MayGoto, 0, 0, off.into(), 0),
        Isa::Call(CallKind::Helper(id::TAIL_CALL)) => make(Op::TailCall, 0, 0, 0, 0),
        Isa::Call(CallKind::Helper(id)) => make(
            Op::CallHelper,
            0,
            0,
            0,
            pieces.call_at(at).ok_or_else(|| unsupported(at, format!("helper {id}")))? as u64,
        ),
        Isa::Call(CallKind::Local(off)) => make(Op::CallLocal, 0, 0, off, 0),
        Isa::Call(CallKind::Reg(r)) => make(Op::CallReg, r, 0, 0, 0),
        Isa::Call(CallKind::Kfunc { id, btf_index }) => make(
            Op::CallHelper,
            0,
            0,
            0,
            pieces
                .call_at(at)
                .ok_or_else(|| unsupported(at, format!("kernel function {id} of descriptor {btf_index}")))?
                as u64,
        ),
        Isa::Exit => make(Op::Exit, 0, 0, 0, 0),
    })
}

/// Whether an access lies inside the frame of the function. Nothing writes `r10`.
fn in_frame(base: u8, size: Size, off: i32) -> bool {
    base == R10 && off >= -(STACK_SIZE as i32) && off + size.bytes() as i32 <= 0
}

fn unsupported(at: usize, what: impl Into<String>) -> LoadError {
    LoadError::Unsupported { at, what: what.into() }
}

/// Where an access goes: as it stands, or into the context's slots.
fn address(
    pieces: &Pieces,
    at: usize,
    size: Size,
    off: i16,
    write: bool,
    translate: bool,
) -> Result<(Size, i32), LoadError> {
    let Some(layout) = pieces.object_layout(at).filter(|_| translate) else { return Ok((size, off.into())) };
    let to = u64::try_from(off).ok().and_then(|o| layout.translate(o, size.bytes() as u64, write));
    let to = to.ok_or_else(|| unsupported(at, format!("access to offset {off} of {}", layout.name())))?;
    let size = match to.size {
        8 => Size::DW,
        2 => Size::H,
        _ => size,
    };
    Ok((size, to.address as i32))
}

/// Where the load, store or atomic operation at a slot goes in unchecked mode.
pub(super) fn access(pieces: &Pieces, at: usize) -> Option<Access> {
    let (size, off, write, arena) = match decode(&pieces.insns, at).ok()?.0 {
        Isa::Load { size, off, .. } => (size, off, false, pieces.is_arena(at)),
        Isa::Store { size, off, src, .. } => (size, off, true, pieces.is_indirect(at, off, src)),
        Isa::Atomic { size, off, .. } | Isa::LoadAcquire { size, off, .. } | Isa::StoreRelease { size, off, .. } => {
            let size = size.bytes() as u64;
            let arena = pieces.is_arena(at);
            return Some(Access { size, offset: off.into(), probe: false, map: false, arena });
        }
        _ => return None,
    };
    let (size, offset) = if arena { (size, off.into()) } else { address(pieces, at, size, off, write, true).ok()? };
    let (probe, map) = (!write && pieces.probed(at), !write && pieces.reads_map(at));
    Some(Access { size: size.bytes() as u64, offset, probe, map, arena })
}

fn imm64(pieces: &Pieces, imm: ImmKind, at: usize) -> Result<u64, LoadError> {
    Ok(match imm {
        ImmKind::Value(v) => v,
        ImmKind::Map(map) | ImmKind::MapIdx(map) => crate::maps::address(pieces.map(map, at)?),
        ImmKind::MapValue { map, off } | ImmKind::MapIdxValue { index: map, off } => {
            pieces.value_address(map, off, at)?
        }
        ImmKind::Func(d) => super::func_handle(pieces.function_at(at as i64 + 1 + i64::from(d), at)?),
        ImmKind::BtfVar { id, btf_fd } => match pieces.variable(id).filter(|_| btf_fd == 0) {
            Some(memory) => memory.as_ptr() as u64,
            None => return Err(unsupported(at, format!("the kernel variable of BTF id {id}"))),
        },
    })
}

fn endian(bits: u8, swap: bool) -> Op {
    match (bits, swap) {
        (16, false) => Op::Trunc16,
        (32, false) => Op::Trunc32,
        (_, false) => Op::Nop,
        (16, true) => Op::Swap16,
        (32, true) => Op::Swap32,
        (_, true) => Op::Swap64,
    }
}

fn load(size: Size, signed: bool) -> Op {
    match (size, signed) {
        (Size::B, false) => Op::Load8,
        (Size::H, false) => Op::Load16,
        (Size::W, false) => Op::Load32,
        (Size::B, true) => Op::LoadS8,
        (Size::H, true) => Op::LoadS16,
        (Size::W, true) => Op::LoadS32,
        (Size::DW, _) => Op::Load64,
    }
}

/// By operation: 64-bit register, 64-bit immediate, 32-bit register, 32-bit immediate.
fn alu(op: AluOp) -> [Op; 4] {
    match op {
        AluOp::Add => [Op::Add64X, Op::Add64K, Op::Add32X, Op::Add32K],
        AluOp::Sub => [Op::Sub64X, Op::Sub64K, Op::Sub32X, Op::Sub32K],
        AluOp::Mul => [Op::Mul64X, Op::Mul64K, Op::Mul32X, Op::Mul32K],
        AluOp::Div => [Op::Div64X, Op::Div64K, Op::Div32X, Op::Div32K],
        AluOp::Sdiv => [Op::Sdiv64X, Op::Sdiv64K, Op::Sdiv32X, Op::Sdiv32K],
        AluOp::Or => [Op::Or64X, Op::Or64K, Op::Or32X, Op::Or32K],
        AluOp::And => [Op::And64X, Op::And64K, Op::And32X, Op::And32K],
        AluOp::Lsh => [Op::Lsh64X, Op::Lsh64K, Op::Lsh32X, Op::Lsh32K],
        AluOp::Rsh => [Op::Rsh64X, Op::Rsh64K, Op::Rsh32X, Op::Rsh32K],
        AluOp::Mod => [Op::Mod64X, Op::Mod64K, Op::Mod32X, Op::Mod32K],
        AluOp::Smod => [Op::Smod64X, Op::Smod64K, Op::Smod32X, Op::Smod32K],
        AluOp::Xor => [Op::Xor64X, Op::Xor64K, Op::Xor32X, Op::Xor32K],
        AluOp::Arsh => [Op::Arsh64X, Op::Arsh64K, Op::Arsh32X, Op::Arsh32K],
        AluOp::Mov => [Op::Mov64X, Op::MovK, Op::Mov32X, Op::MovK],
    }
}

/// As [`alu`].
fn jmp(op: JmpOp) -> [Op; 4] {
    match op {
        JmpOp::Eq => [Op::Jeq64X, Op::Jeq64K, Op::Jeq32X, Op::Jeq32K],
        JmpOp::Ne => [Op::Jne64X, Op::Jne64K, Op::Jne32X, Op::Jne32K],
        JmpOp::Gt => [Op::Jgt64X, Op::Jgt64K, Op::Jgt32X, Op::Jgt32K],
        JmpOp::Ge => [Op::Jge64X, Op::Jge64K, Op::Jge32X, Op::Jge32K],
        JmpOp::Lt => [Op::Jlt64X, Op::Jlt64K, Op::Jlt32X, Op::Jlt32K],
        JmpOp::Le => [Op::Jle64X, Op::Jle64K, Op::Jle32X, Op::Jle32K],
        JmpOp::Set => [Op::Jset64X, Op::Jset64K, Op::Jset32X, Op::Jset32K],
        JmpOp::Sgt => [Op::Jsgt64X, Op::Jsgt64K, Op::Jsgt32X, Op::Jsgt32K],
        JmpOp::Sge => [Op::Jsge64X, Op::Jsge64K, Op::Jsge32X, Op::Jsge32K],
        JmpOp::Slt => [Op::Jslt64X, Op::Jslt64K, Op::Jslt32X, Op::Jslt32K],
        JmpOp::Sle => [Op::Jsle64X, Op::Jsle64K, Op::Jsle32X, Op::Jsle32K],
    }
}
