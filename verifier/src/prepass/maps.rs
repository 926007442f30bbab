//! 64-bit immediates: the maps, values, functions and kernel variables that they name.

use crate::domain::{BtfRef, RegBase, RegExtra, RegType};
use crate::program::CGROUP_STORAGES;
use crate::program::{JUMP_SIZE, UsedMap};
use crate::reason::{ExploreReason, ProgramReason};
use crate::{Env, Step, Stop, reason::reject};
use ebpfkit_abi::limits::{MAX_USED_MAPS, MAX_VAR_OFF, PAGE_SIZE};
use ebpfkit_abi::{Feature, MapType, TypeFlags};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::{self, alu, class, jmp, mode, pseudo};
use ebpfkit_object::btf::{Kind, Type};
use ebpfkit_object::record;
use ebpfkit_object::{Map, MapInit};

/// `gotol`: a jump with its distance in the immediate.
const LONG_JUMP: u8 = class::JMP32 | jmp::JA;
/// `bswap`: swaps bytes whatever the machine's order is.
const BYTE_SWAP: u8 = class::ALU64 | alu::END;

impl<'a> Env<'a> {
    /// Checks every 64-bit immediate and notes what it makes in `aux.ld_imm`; collects the maps in use.
    pub(super) fn resolve_imm64(&mut self) -> Step {
        let mut at = 0;
        while at < self.insns().len() {
            let insn = self.insns()[at];
            let plain = insn.mode() == mode::MEM;
            if self.has(Feature::StackArguments) && is_stack_argument(insn) {
                return Err(Stop::unsupported("arguments on the stack"));
            }
            let extends = insn.mode() == mode::MEMSX && self.has(Feature::SignExtendingLoads);
            if insn.class() == class::LDX && (!plain && !extends || insn.imm != 0) {
                return reject(ProgramReason::LoadReservedFields {});
            }
            if insn.class() == class::STX && insn.mode() == mode::ATOMIC && insn.imm != 0 && !self.has(Feature::Atomics)
            {
                return reject(ProgramReason::StoreReservedFields {});
            }
            if insn.is_ld_imm64() {
                let next = self.insns().get(at + 1).copied();
                let Some(next) = next.filter(|n| n.code == 0 && n.dst == 0 && n.src == 0 && n.off == 0) else {
                    return reject(ProgramReason::InvalidImm64 {});
                };
                self.aux[at].ld_imm = self.imm64_meaning(at, insn, next)?;
                at += 1;
            } else if insn.is_indirect_jump() && self.has(Feature::IndirectJumps) {
                if (insn.src, insn.off, insn.imm) != (0, 0, 0) {
                    return reject(ExploreReason::ReservedFields { insn: "BPF_JA|BPF_X" });
                }
                if !self.has(Feature::StackLivenessFirst) {
                    return Err(Stop::unsupported(
                        "indirect jumps, in kernels that find the liveness of stacks on the way",
                    ));
                }
            } else if !self.is_known_opcode(insn.code) {
                // The instruction set has calls through registers; kernels have not.
                return reject(ProgramReason::UnknownOpcode { code: insn.code });
            }
            at += 1;
        }
        Ok(())
    }

    /// Whether the kernel has an instruction of this code.
    fn is_known_opcode(&self, code: u8) -> bool {
        let feature = match code {
            // The instruction set has calls through registers; kernels have not.
            opcode::CALLX => return false,
            opcode::GOTOX => Feature::IndirectJumps,
            opcode::MAY_GOTO => Feature::MayGoto,
            LONG_JUMP => Feature::LongJumps,
            BYTE_SWAP => Feature::ByteSwapInstruction,
            _ => return !ebpfkit_isa::table::rows_of(code).is_empty(),
        };
        self.has(feature)
    }

    fn imm64_meaning(&mut self, at: usize, insn: Insn, next: Insn) -> Step<Option<(RegType, RegExtra, u32)>> {
        match insn.src {
            0 => Ok(None),
            pseudo::MAP_FD | pseudo::MAP_IDX if next.imm == 0 => {
                let map = self.use_map(insn.imm as u32)?;
                Ok(Some((RegType::of(RegBase::ConstMap), RegExtra::Map { map, uid: 0 }, 0)))
            }
            pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE => {
                let (map, off) = (self.use_map(insn.imm as u32)?, next.imm as u32);
                self.check_direct_value(map, off)?;
                Ok(Some((RegType::of(RegBase::MapValue), RegExtra::Map { map, uid: 0 }, off)))
            }
            pseudo::FUNC if self.has(Feature::FunctionPointers) => {
                let target = insn.function(at).and_then(|t| usize::try_from(t).ok());
                let subprog = target.and_then(|t| self.find_subprog(t));
                let Some(subprog) = subprog else { return reject(ProgramReason::InvalidCallTarget {}) };
                Ok(Some((RegType::of(RegBase::Func), RegExtra::Func { subprog: subprog as u32 }, 0)))
            }
            pseudo::BTF_ID => self.kernel_variable(insn.imm as u32, next.imm as u32).map(Some),
            _ => reject(ProgramReason::UnrecognizedImm64 {}),
        }
    }

    /// Position of an object's map among the maps in use.
    fn use_map(&mut self, index: u32) -> Step<u32> {
        if let Some(known) = self.maps.iter().position(|m| m.index == index as usize) {
            return Ok(known as u32);
        }
        if (index as i32) < 0 {
            return reject(ProgramReason::NoMapDescriptor { fd: !(index as i32) });
        }
        let Some(def) = self.object().maps.get(index as usize) else {
            return Err(Stop::unsupported(format!("map number {index} is not in the object")));
        };
        if self.maps.iter().filter(|m| m.index != usize::MAX).count() >= MAX_USED_MAPS {
            return reject(ProgramReason::TooManyMaps {});
        }
        let position = self.push_map(index as usize, def);
        self.check_map_capability(position)?;
        self.check_map_prog_compatibility(position)?;
        self.check_one_storage(position)?;
        self.check_jump_targets(position)?;
        Ok(position)
    }

    /// An array of instructions is complete, and names instructions of the program.
    fn check_jump_targets(&self, position: u32) -> Step {
        let def = self.maps[position as usize].def;
        if def.map_type != MapType::InsnArray {
            return Ok(());
        }
        let is_insn = |at: &u32| (*at as usize) < self.insns().len() && self.is_insn_start(*at as usize);
        match &def.init {
            MapInit::Jumps(targets) if def.frozen && targets.iter().all(is_insn) => Ok(()),
            // What is not set leads to the first instruction.
            MapInit::Empty if def.frozen => Ok(()),
            _ => reject(ProgramReason::JumpTableInvalid {}),
        }
    }

    /// Storage of control groups is found by its kind alone, so that a program has one map of each.
    fn check_one_storage(&self, position: u32) -> Step {
        let kind = self.maps[position as usize].def.map_type;
        let same = self.maps.iter().filter(|m| m.index != usize::MAX && m.def.map_type == kind).count();
        if CGROUP_STORAGES.contains(&kind) && same > 1 {
            return reject(ProgramReason::TwoCgroupStorages {});
        }
        Ok(())
    }

    fn push_map(&mut self, index: usize, def: &'a Map) -> u32 {
        let renamed = self.has(Feature::KptrTagNames);
        let tags = if renamed { record::KptrTags::Current } else { record::KptrTags::Older };
        let record = record::of_map_by(tags, def, self.btf(), &|| self.kernel().btf().cloned());
        let record = std::rc::Rc::new(record);
        let position = self.maps.len();
        self.maps.push(UsedMap { index, def, inner: None, record });
        if let Some(inner) = &def.inner {
            // An inner template is reached through lookups only and has no number of its own.
            let inner = self.push_map(usize::MAX, inner);
            self.maps[position].inner = Some(inner);
        }
        position as u32
    }

    fn check_direct_value(&self, map: u32, off: u32) -> Step {
        let def = &self.maps[map as usize].def;
        if i64::from(off) >= MAX_VAR_OFF {
            return reject(ProgramReason::DirectValueOffset { off });
        }
        match def.map_type {
            MapType::Array if def.max_entries != 1 || off >= def.value_size => {
                reject(ProgramReason::DirectValueOutside { value_size: def.value_size, off })
            }
            MapType::PercpuArray if self.has(Feature::PercpuGlobals) => {
                if def.max_entries != 1 || off >= def.value_size {
                    return reject(ProgramReason::DirectValueOutside { value_size: def.value_size, off });
                }
                Ok(())
            }
            MapType::Array => Ok(()),
            MapType::InsnArray => {
                if !off.is_multiple_of(JUMP_SIZE) || off / JUMP_SIZE >= def.max_entries {
                    return reject(ProgramReason::DirectValueOutside { value_size: def.value_size, off });
                }
                Ok(())
            }
            MapType::Arena => {
                let bytes = u64::from(def.max_entries) * u64::from(PAGE_SIZE);
                if u64::from(off) >= bytes {
                    return reject(ProgramReason::DirectValueOutside { value_size: def.value_size, off });
                }
                Ok(())
            }
            _ => reject(ProgramReason::NoDirectValue {}),
        }
    }

    /// A kernel variable or function by BTF id: typed, per-CPU, or plain read-only memory.
    fn kernel_variable(&mut self, id: u32, btf_fd: u32) -> Step<(RegType, RegExtra, u32)> {
        if btf_fd != 0 {
            return Err(Stop::unsupported("kernel variables of modules"));
        }
        let Some(btf) = self.kernel().btf() else {
            return Err(Stop::unsupported("kernel variables without kernel BTF"));
        };
        if let (Some(Type::Var { .. } | Type::Func { .. }), Some(known)) = (btf.get(id), &self.kernel().symbols)
            && !known(btf.name(id))
        {
            return reject(ProgramReason::NoKernelSymbol { name: btf.name(id).to_owned() });
        }
        match btf.get(id) {
            Some(Type::Func { .. }) if !self.has(Feature::FunctionAddresses) => {
                reject(ProgramReason::NoVariable { id })
            }
            Some(Type::Func { .. }) => {
                Ok((RegType::with(RegBase::Mem, TypeFlags::RDONLY), RegExtra::Mem { size: 0, dynptr_id: 0 }, 0))
            }
            Some(Type::Var { ty, .. }) => {
                let percpu =
                    btf.find(".data..percpu", Kind::Datasec).is_some_and(|s| btf.sec_vars(s).any(|v| v.ty == id));
                let ty = btf.resolve(ty);
                if percpu {
                    let extra = RegExtra::Btf { btf: BtfRef::Vmlinux, id: ty };
                    return Ok((RegType::with(RegBase::BtfId, TypeFlags::PERCPU), extra, 0));
                }
                if btf.kind(ty) == Some(Kind::Struct) {
                    return Ok((RegType::of(RegBase::BtfId), RegExtra::Btf { btf: BtfRef::Vmlinux, id: ty }, 0));
                }
                let size = btf.size_of(ty).unwrap_or(0);
                Ok((RegType::with(RegBase::Mem, TypeFlags::RDONLY), RegExtra::Mem { size, dynptr_id: 0 }, 0))
            }
            _ => Err(Stop::unsupported(format!("kernel variable {id} is no variable"))),
        }
    }
}

/// Whether an instruction stores an argument of a call on the stack, or loads one of its own function (`is_stack_arg_st`,
/// `is_stack_arg_stx`, `is_stack_arg_ldx`).
fn is_stack_argument(insn: Insn) -> bool {
    const PARAMS: u8 = 11;
    let whole = insn.mode() == mode::MEM && insn.size_bits() == opcode::size::DW && insn.off % 8 == 0;
    whole
        && match insn.class() {
            class::LDX => insn.src == PARAMS && insn.off > 0,
            class::ST | class::STX => insn.dst == PARAMS && insn.off < 0,
            _ => false,
        }
}
