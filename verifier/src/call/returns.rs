//! What a helper leaves in r0.

use super::helper::CallMeta;
use crate::domain::{BtfRef, RegBase, RegExtra, RegState, RegType};
use crate::memory::types::{btf_reg, is_struct};
use crate::reason::{CallReason, reject};
use crate::{Env, Step, Stop};
use ebpfkit_abi::helpers::id;
use ebpfkit_abi::proto::{Helper, HelperFlags, Prototype, RetBase, RetType};
use ebpfkit_abi::{AttachType, Errno, Feature, MapType, TypeFlags, lsm, map_flags};
use ebpfkit_object::btf::Kind;
use ebpfkit_object::record::FieldKind;

impl Env<'_> {
    /// Sets r0, acquires what the helper gives, and bounds what it returns.
    pub(super) fn set_return(&mut self, row: &Helper, proto: &Prototype, meta: &CallMeta) -> Step {
        let ret = RetType { flags: self.known_trust(proto.ret.flags), ..proto.ret };
        let made = |base, extra| RegState::pointer(RegType::with(base, ret.flags), extra);
        let mut r0 = match ret.base {
            RetBase::Integer => self.unknown_scalar(),
            RetBase::Void => return Ok(()),
            RetBase::MapValue => self.map_value_return(row, ret.flags, meta)?,
            RetBase::Socket => made(RegBase::Socket, RegExtra::None),
            RetBase::SockCommon => made(RegBase::SockCommon, RegExtra::None),
            RetBase::TcpSock => made(RegBase::TcpSock, RegExtra::None),
            RetBase::Mem => {
                let dynptr_id = meta.dynptr.map_or(0, |d| d.id);
                made(RegBase::Mem, RegExtra::Mem { size: meta.mem_size as u32, dynptr_id })
            }
            RetBase::MemOrBtfId => self.percpu_return(ret.flags, meta)?,
            RetBase::BtfId => match &meta.kptr {
                Some(field) => {
                    let mut flags = ret.flags;
                    if field.btf == BtfRef::Program {
                        flags |= TypeFlags::ALLOC;
                        if field.kind == FieldKind::KptrPercpu {
                            flags |= TypeFlags::PERCPU;
                        }
                    }
                    btf_reg(field.btf, field.type_id, flags)
                }
                None => {
                    let Some(id) = self.types_of(BtfRef::Vmlinux)?.find(ret.btf, Kind::Struct) else {
                        return Err(Stop::unsupported(format!("struct {}, which this kernel does not have", ret.btf)));
                    };
                    btf_reg(BtfRef::Vmlinux, id, ret.flags)
                }
            },
        };
        if r0.ty.may_be_null() && r0.id == 0 {
            r0.id = self.new_id();
        }
        let casts_held = proto.flags.contains(HelperFlags::CASTS) && self.holds_reference(meta.ref_obj_id);
        if casts_held && self.has(Feature::CastsForked) {
            let here = self.path.insn_idx;
            self.push_branch(here + 1, here, false, |_, state| *state.reg_mut(0) = RegState::known(0))?;
            r0.ty.flags -= TypeFlags::MAYBE_NULL;
            r0.id = meta.ref_obj_id;
        }
        if let Some(dynptr) = meta.dynptr {
            r0.ref_obj_id = dynptr.ref_obj_id;
        } else if proto.flags.contains(HelperFlags::CASTS) {
            r0.ref_obj_id = meta.ref_obj_id;
        } else if proto.flags.contains(HelperFlags::ACQUIRES) || self.looks_up_socket(row, meta) {
            let id = self.acquire_reference(self.path.insn_idx);
            (r0.id, r0.ref_obj_id) = (id, id);
        }
        self.bound_return(row, proto, meta, &mut r0);
        *self.reg_mut(0) = r0;
        Ok(())
    }

    /// A lookup in a map of sockets acquires the socket.
    fn looks_up_socket(&self, row: &Helper, meta: &CallMeta) -> bool {
        let map_type = meta.map.map(|m| self.maps[m as usize].def.map_type);
        row.id == id::MAP_LOOKUP_ELEM && matches!(map_type, Some(MapType::Sockmap | MapType::Sockhash))
    }

    fn map_value_return(&mut self, row: &Helper, flags: TypeFlags, meta: &CallMeta) -> Step<RegState> {
        let Some(map) = meta.map else { return reject(CallReason::Misconfigured {}) };
        let used = &self.maps[map as usize];
        let max = u64::from(used.def.max_entries);
        let locks = used.record.has(FieldKind::SpinLock) || used.record.has(FieldKind::ResSpinLock);
        // An array has every element there is, unless one of another size may stand in for it as an inner map.
        let fixed = used.flags() & map_flags::INNER_MAP == 0;
        let present = row.id == id::MAP_LOOKUP_ELEM && fixed && meta.const_key.is_some_and(|k| k < max);
        let flags = if present { flags - TypeFlags::MAYBE_NULL } else { flags };
        if let Some(inner) =
            used.inner.filter(|_| self.has(Feature::InnerMapsAtOnce) && flags.contains(TypeFlags::MAYBE_NULL))
        {
            let owns = |k| self.maps.get(inner as usize).is_some_and(|m| m.record.has(k));
            let timed = owns(FieldKind::Timer) || owns(FieldKind::Workqueue) || owns(FieldKind::TaskWork);
            let uid = if timed { self.new_id() } else { 0 };
            let ty = RegType::with(RegBase::ConstMap, TypeFlags::MAYBE_NULL);
            return Ok(RegState { id: uid, ..RegState::pointer(ty, RegExtra::Map { map: inner, uid }) });
        }
        let extra = RegExtra::Map { map, uid: meta.map_uid };
        let mut r0 = RegState::pointer(RegType::with(RegBase::MapValue, flags), extra);
        if !r0.ty.may_be_null() && locks {
            r0.id = self.new_id();
        }
        Ok(r0)
    }

    /// This CPU's or another's part of a per-CPU variable: a typed pointer to a struct, plain memory otherwise.
    fn percpu_return(&mut self, flags: TypeFlags, meta: &CallMeta) -> Step<RegState> {
        let Some((btf, id)) = meta.percpu else { return Err(Stop::unsupported("a per-CPU pointer without type")) };
        let types = self.types_of(btf)?;
        let id = types.resolve(id);
        if !is_struct(&types, id) {
            let Some(size) = types.size_of(id) else {
                return reject(CallReason::UnresolvedSize { name: types.name(id).to_owned() });
            };
            let ty = RegType::with(RegBase::Mem, flags);
            return Ok(RegState::pointer(ty, RegExtra::Mem { size, dynptr_id: 0 }));
        }
        let flags = if meta.percpu_alloc { TypeFlags::ALLOC | TypeFlags::RCU } else { flags - TypeFlags::RDONLY };
        Ok(btf_reg(btf, id, flags))
    }

    /// Bounds of numbers that some helpers return.
    fn bound_return(&self, row: &Helper, proto: &Prototype, meta: &CallMeta, r0: &mut RegState) {
        let known = row.id != id::GET_TASK_STACK || self.has(Feature::TaskStackBounds);
        if proto.flags.contains(HelperFlags::RETURNS_SIZE) && known {
            (r0.smin, r0.smax) = (i64::from(-Errno::MAX), meta.size_max as i64);
            (r0.s32_min, r0.s32_max) = (-Errno::MAX, meta.size_max as i32);
            self.numbers().sync(r0);
        } else if row.id == id::GET_RETVAL
            && self.has(Feature::BoundedRetval)
            && self.prog().attach_type != AttachType::CgroupGetsockopt
        {
            let (min, max) = self.lsm_hook().map_or((-Errno::MAX, 0), lsm::return_range);
            (r0.smin, r0.smax, r0.s32_min, r0.s32_max) = (min.into(), max.into(), min, max);
            self.numbers().sync(r0);
        } else if row.id == id::GET_SMP_PROCESSOR_ID {
            let last = self.kernel().cpus.saturating_sub(1);
            (r0.umin, r0.umax, r0.u32_min, r0.u32_max) = (0, last.into(), 0, last);
            (r0.smin, r0.smax, r0.s32_min, r0.s32_max) = (0, last.into(), 0, last as i32);
            self.numbers().sync(r0);
        }
    }
}
