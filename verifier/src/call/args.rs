//! Arguments of helpers: what each register must be.

use super::helper::CallMeta;
use crate::domain::{RegBase, RegExtra, RegState, RegType};
use crate::memory::Access;
use crate::memory::access::RawBuffer;
use crate::reason::{CallReason, reject};
use crate::resource::LockKind;
use crate::scalar::RegArg::SrcOp;
use crate::state::{SLOT_SIZE, SlotKind};
use crate::{Env, Step, Stop};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::proto::{ArgBase, ArgType, Helper, HelperFlags, Prototype};
use ebpfkit_abi::{Feature, MapType, TypeFlags, map_flags};

/// How a call uses a buffer.
fn access_of(mem: ArgType) -> Access {
    if mem.flags.contains(TypeFlags::WRITE) { Access::Write } else { Access::Read }
}

impl Env<'_> {
    /// Checks argument number `index` of a helper.
    pub(super) fn check_helper_arg(
        &mut self,
        row: &Helper,
        proto: &Prototype,
        index: usize,
        meta: &mut CallMeta,
    ) -> Step {
        let (mut want, reg) = (proto.args[index], index as u8 + 1);
        if want.base == ArgBase::DontCare {
            return Ok(());
        }
        self.check_reg_arg(reg, SrcOp)?;
        if want.base == ArgBase::Anything {
            let counts = row.id == id::LOOP && reg == 1 && self.has(Feature::LoopCountIsNumber);
            if counts && !self.reg(reg).is_scalar() {
                let ty = self.kind_name(self.reg(reg).ty).into_owned();
                return reject(CallReason::ArgumentKind { reg, ty, expected: "scalar".to_owned() });
            }
            if self.is_pointer_value(reg) {
                return reject(CallReason::LeaksAddress { reg });
            }
            return Ok(());
        }
        let r = *self.reg(reg);
        let helper_reads_packets = proto.flags.contains(HelperFlags::PKT_ACCESS);
        if r.is_pkt() && !self.may_give_packet(helper_reads_packets) {
            return reject(CallReason::PacketArgument {});
        }
        if want.base == ArgBase::MapValue {
            want = self.map_value_arg(row, want, meta)?;
        }
        if want.flags.contains(TypeFlags::MAYBE_NULL) && r.is_null() {
        } else {
            self.check_arg_kind(row, want, reg, meta.kptr.as_ref())?;
            self.check_arg_offset(want, reg)?;
        }
        if want.flags.contains(TypeFlags::RELEASE) {
            self.check_release(row, want, reg)?;
            meta.release = Some(reg);
        }
        if r.ref_obj_id != 0 && want.base != ArgBase::KptrXchgDest {
            let same = meta.ref_obj_id == r.ref_obj_id && self.has(Feature::OneReferenceTwice);
            if meta.ref_obj_id != 0 && !same {
                let (first, second) = (r.ref_obj_id, meta.ref_obj_id);
                return reject(CallReason::TwoReferences { reg, first, second });
            }
            meta.ref_obj_id = r.ref_obj_id;
        }
        self.check_arg_use(row, proto, index, want, meta)
    }

    /// What a call does with an argument of the right kind.
    fn check_arg_use(
        &mut self,
        row: &Helper,
        proto: &Prototype,
        index: usize,
        want: ArgType,
        meta: &mut CallMeta,
    ) -> Step {
        let reg = index as u8 + 1;
        let r = *self.reg(reg);
        let no_map = || Err(Stop::unsupported("a key or value before its map"));
        match want.base {
            ArgBase::ConstMapPtr => self.note_map(&r, meta),
            ArgBase::MapKey => {
                let Some(map) = meta.map else { return no_map() };
                let size = self.maps[map as usize].def.key_size;
                self.check_helper_mem_access(reg, size as i32, Access::Read, false, None)?;
                if self.has(Feature::ConstantKeys) {
                    meta.const_key = self.const_map_key(map, reg)?;
                }
                Ok(())
            }
            ArgBase::MapValue => {
                if want.flags.contains(TypeFlags::MAYBE_NULL) && r.is_null() {
                    return Ok(());
                }
                let Some(map) = meta.map else { return no_map() };
                let size = self.maps[map as usize].def.value_size;
                self.check_fixed_buffer(reg, size, want, meta)
            }
            ArgBase::Mem => {
                // Other memory is checked together with its size, the next argument.
                if want.flags.contains(TypeFlags::FIXED_SIZE) {
                    self.check_fixed_buffer(reg, want.size, want, meta)?;
                    if want.flags.contains(TypeFlags::ALIGNED) {
                        self.check_alignment(reg, 0, want.size, true)?;
                    }
                }
                Ok(())
            }
            ArgBase::ConstSize | ArgBase::ConstSizeOrZero => {
                let mem = proto.args[index - 1];
                meta.size_max = r.umax;
                let mut raw = RawBuffer::default();
                let raw_access = mem.flags.contains(TypeFlags::UNINIT).then_some(&mut raw);
                let zero_ok = want.base == ArgBase::ConstSizeOrZero;
                self.check_mem_size_reg(reg - 1, reg, access_of(mem), zero_ok, raw_access)?;
                meta.note_raw(raw);
                Ok(())
            }
            ArgBase::ConstAllocSizeOrZero => {
                if !r.var_off.is_const() {
                    return reject(CallReason::NotConstant { reg });
                }
                meta.mem_size = r.var_off.value;
                self.mark_chain_precision(reg)
            }
            ArgBase::PercpuBtfId => {
                let RegExtra::Btf { btf, id } = r.extra else {
                    return reject(CallReason::InvalidBtfId { reg });
                };
                meta.percpu = Some((btf, id));
                Ok(())
            }
            ArgBase::SpinLock if row.id == id::SPIN_LOCK => self.process_lock(reg, LockKind::Spin),
            ArgBase::SpinLock => self.process_unlock(reg, LockKind::Spin),
            ArgBase::Timer => self.check_timer(reg, meta),
            ArgBase::Func => {
                if let RegExtra::Func { subprog } = r.extra {
                    meta.callback = Some(subprog as usize);
                }
                Ok(())
            }
            ArgBase::Dynptr => self.process_dynptr(reg, want.flags, 0),
            ArgBase::ConstStr => self.check_const_string(reg),
            ArgBase::KptrXchgDest => self.check_kptr_dest(reg, meta),
            ArgBase::DontCare
            | ArgBase::Anything
            | ArgBase::Ctx
            | ArgBase::SockCommon
            | ArgBase::Socket
            | ArgBase::BtfId
            | ArgBase::BtfIdSockCommon
            | ArgBase::RingbufMem
            | ArgBase::Stack
            | ArgBase::Arena => Ok(()),
        }
    }

    /// The map of a call. With a timer's map before it, both must be the same map, inner maps by the same lookup.
    fn note_map(&mut self, r: &RegState, meta: &mut CallMeta) -> Step {
        let RegExtra::Map { map, uid } = r.extra else { return Err(Stop::unsupported("a map pointer without map")) };
        if let Some(timer_map) = meta.map
            && (timer_map, meta.map_uid) != (map, uid)
        {
            return reject(CallReason::OtherMapThanTimer { timer: meta.map_uid, map: uid });
        }
        (meta.map, meta.map_uid) = (Some(map), uid);
        Ok(())
    }

    /// What a map value is for some maps (`resolve_map_arg_type`): a socket, or memory that is read where other maps
    /// write it.
    fn map_value_arg(&self, row: &Helper, want: ArgType, meta: &CallMeta) -> Step<ArgType> {
        let Some(map) = meta.map else { return Err(Stop::unsupported("a value before its map")) };
        match self.maps[map as usize].def.map_type {
            MapType::Sockmap | MapType::Sockhash => {
                if !want.flags.is_empty() {
                    return reject(CallReason::SockmapValue {});
                }
                Ok(ArgType { base: ArgBase::BtfIdSockCommon, ..want })
            }
            MapType::BloomFilter if row.id == id::MAP_PEEK_ELEM => Ok(ArgType { flags: TypeFlags::empty(), ..want }),
            _ => Ok(want),
        }
    }

    fn check_fixed_buffer(&mut self, reg: u8, size: u32, want: ArgType, meta: &mut CallMeta) -> Step {
        let mut raw = RawBuffer::default();
        let raw_access = want.flags.contains(TypeFlags::UNINIT).then_some(&mut raw);
        self.check_helper_mem_access(reg, size as i32, access_of(want), false, raw_access)?;
        meta.note_raw(raw);
        Ok(())
    }

    /// Whether what an argument releases was acquired.
    fn check_release(&self, row: &Helper, want: ArgType, reg: u8) -> Step {
        let r = self.reg(reg);
        if want.base == ArgBase::Dynptr {
            if r.ty != RegType::of(RegBase::Stack) {
                return reject(CallReason::UnownedDynptr {});
            }
            if self.dynptr_slot_reference(r) == 0 {
                return reject(CallReason::UnacquiredArgument { reg });
            }
        } else if r.ref_obj_id == 0 && !r.is_null() {
            return reject(CallReason::NotReferenced { reg, func: row.name, id: row.id });
        }
        Ok(())
    }

    /// The key of an array lookup, when it lies on the stack as a known number.
    fn const_map_key(&mut self, map: u32, reg: u8) -> Step<Option<u64>> {
        let def = &self.maps[map as usize].def;
        if !matches!(def.map_type, MapType::Array | MapType::PercpuArray) {
            return Ok(None);
        }
        let (r, key_size) = (*self.reg(reg), def.key_size as usize);
        if r.ty.base != RegBase::Stack || !r.var_off.is_const() {
            return Ok(None);
        }
        let at = i64::from(r.off).wrapping_add(r.var_off.value as i64);
        let Ok(below) = usize::try_from(-at - 1) else { return Ok(None) };
        let frame = r.frameno as usize;
        let slot_index = below / SLOT_SIZE;
        let Some(slot) = self.path.state.frames.get(frame).and_then(|f| f.stack.slots.get(slot_index)) else {
            return Ok(None);
        };
        let from = &slot.kinds[..=below % SLOT_SIZE];
        let run = |kind| from.iter().rev().take_while(|&&k| k == kind).count();
        if run(SlotKind::Zero) >= key_size {
            return Ok(Some(0));
        }
        let spilled = slot.is_scalar_spill() && run(SlotKind::Spill) == key_size;
        let value = slot.spilled.const_value().filter(|_| spilled);
        if value.is_some() {
            self.mark_slot_precise(frame, slot_index)?;
        }
        Ok(value)
    }

    /// A pointer to the start of constant, zero-terminated text in a map.
    pub(super) fn check_const_string(&mut self, reg: u8) -> Step {
        let r = *self.reg(reg);
        let Some(map) = r.map() else { return Err(Stop::unsupported("text outside of a map")) };
        let used = &self.maps[map as usize];
        let def = used.def;
        let value_size = def.value_size;
        if def.map_type == MapType::PercpuArray && self.has(Feature::PercpuGlobals) {
            return reject(CallReason::StringPerCpu { reg });
        }
        if used.flags() & map_flags::RDONLY_PROG == 0 || !def.frozen {
            return reject(CallReason::StringNotReadOnly { reg });
        }
        if !r.var_off.is_const() {
            return reject(CallReason::StringNotConstant { reg });
        }
        if def.map_type != MapType::Array {
            return reject(CallReason::StringInOtherMap {});
        }
        let size = (value_size as i32).wrapping_sub(r.off);
        self.check_helper_map_value(reg, r.off, size as u32)?;
        if self.const_text(&r).is_none() {
            return reject(CallReason::StringUnterminated {});
        }
        Ok(())
    }

    /// The zero-terminated text in a constant map that a register points to, without its end.
    pub(super) fn const_text(&self, r: &RegState) -> Option<Vec<u8>> {
        let def = &self.maps.get(r.map()? as usize)?.def;
        let start = usize::try_from(i64::from(r.off).checked_add(r.var_off.value as i64)?).ok()?;
        let zeros;
        let data = match &def.init {
            ebpfkit_object::MapInit::Data(data) => data.get(start..)?,
            _ => {
                zeros = [0u8; 1];
                &zeros[..]
            }
        };
        let end = data.iter().position(|&b| b == 0)?;
        Some(data[..end].to_vec())
    }
}
