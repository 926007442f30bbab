//! Regions of known size: map values and keys, packets, plain memory.

use super::Access;
use super::special::Touch;
use crate::domain::reg_type_str;
use crate::domain::{RegExtra, RegState};
use crate::reason::{MemoryReason, Outside, reject};
use crate::{Env, Step, Stop};
use ebpfkit_abi::Feature;
use ebpfkit_abi::limits::MAX_VAR_OFF;
use ebpfkit_abi::{MapType, ProgType, TypeFlags, map_flags};
use ebpfkit_object::MapInit;
use ebpfkit_object::record::Field;

impl Env<'_> {
    /// One end of an access against the region: `Err` says what lies outside.
    fn inside(&self, reg: u8, off: i64, size: u32, region: u32, zero_size: bool) -> Result<(), Outside> {
        if off >= 0 && (size > 0 || zero_size) && off.saturating_add(size.into()) <= region.into() {
            return Ok(());
        }
        let r = self.reg(reg);
        Err(Outside { base: r.ty.base, reg, id: r.id, off, size, region: region.into() })
    }

    /// An access at `off` (fixed part included) from a register with a variable offset into a region.
    pub(super) fn check_region(&mut self, reg: u8, off: i32, size: u32, region: u32, zero_size: bool) -> Step {
        let r = *self.reg(reg);
        let low = r.smin.checked_add(off.into());
        // Where a register's offset is one, its fixed part makes it negative, too.
        let least = if self.has(Feature::WholeOffsets) { r.smin.saturating_add(r.off.into()) } else { r.smin };
        if least < 0 && low.is_none_or(|l| r.smin == i64::MIN || l < 0 || i32::try_from(l).is_err()) {
            return reject(MemoryReason::NegativeIndex { reg });
        }
        let low = low.unwrap_or(i64::MAX);
        if let Err(detail) = self.inside(reg, low, size, region, zero_size) {
            return reject(MemoryReason::OutsideRegion { detail, reg, bound: "min" });
        }
        if r.umax >= MAX_VAR_OFF as u64 {
            return reject(MemoryReason::UnboundedAccess { reg });
        }
        let high = r.umax as i64 + i64::from(off);
        if let Err(detail) = self.inside(reg, high, size, region, zero_size) {
            return reject(MemoryReason::OutsideRegion { detail, reg, bound: "max" });
        }
        Ok(())
    }

    /// An access to packet data.
    pub(super) fn check_packet(&mut self, reg: u8, off: i32, size: u32, zero_size: bool) -> Step {
        let r = *self.reg(reg);
        if self.has(Feature::PacketsAsRegions)
            && let Ok(range) = u32::try_from(r.range())
        {
            return self.check_region(reg, off, size, range, zero_size);
        }
        if r.smin < 0 && !self.has(Feature::PacketsAsRegions) {
            return reject(MemoryReason::NegativeIndex { reg });
        }
        let detail = match u32::try_from(r.range()) {
            Err(_) => Some(Outside { base: r.ty.base, reg, id: r.id, off: off.into(), size, region: r.range().into() }),
            Ok(range) => self.inside(reg, off.into(), size, range, zero_size).err(),
        };
        if let Some(detail) = detail {
            return reject(MemoryReason::OutsidePacket { detail, reg });
        }
        Ok(())
    }

    /// Whether this program type may write packet data.
    pub(crate) fn may_write_packet(&self) -> bool {
        self.prog().prog_type.writes_packets()
    }

    /// An access to a map's value, by an instruction or a call. The kernel pointer in it, when one is accessed.
    pub(super) fn check_map_value(
        &mut self,
        reg: u8,
        off: i32,
        size: u32,
        access: Access,
        zero_size: bool,
        touch: Touch,
    ) -> Step<Option<Field>> {
        let r = *self.reg(reg);
        let Some(map) = r.map() else { return Err(Stop::unsupported("a map value without its map")) };
        let used = &self.maps[map as usize];
        let (flags, value_size, reach) = (used.flags(), used.def.value_size, used.reach());
        let at = i64::from(off);
        match access {
            Access::Write if flags & map_flags::RDONLY_PROG != 0 => {
                return reject(MemoryReason::MapReadOnly { value_size, off: at, size });
            }
            Access::Read if flags & map_flags::WRONLY_PROG != 0 => {
                return reject(MemoryReason::MapWriteOnly { value_size, off: at, size });
            }
            _ => {}
        }
        self.check_region(reg, off, size, reach, zero_size)?;
        self.check_special_fields(&r, off, size, touch)
    }

    /// Whether a pointer leads into a table of jumps.
    pub(super) fn is_jump_table(&self, r: &RegState) -> bool {
        r.map().is_some_and(|m| self.maps[m as usize].def.map_type == MapType::InsnArray)
    }

    /// What a load of `size` bytes reads of a frozen map; `None` when it is not known.
    pub(crate) fn frozen_value(&self, r: &RegState, off: i32, size: u32) -> Option<u64> {
        let def = &self.maps.get(r.map()? as usize)?.def;
        let readable = def.frozen && def.flags & map_flags::RDONLY_PROG != 0 && def.map_type == MapType::Array;
        if !readable || !r.var_off.is_const() {
            return None;
        }
        let MapInit::Data(data) = &def.init else { return None };
        let start = usize::try_from(i64::from(off).checked_add(r.var_off.value as i64)?).ok()?;
        let bytes = data.get(start..start.checked_add(size as usize)?)?;
        let little = self.object().endian == ebpfkit_isa::Endian::Little;
        let fold = |value: u64, b: &u8| value << 8 | u64::from(*b);
        Some(if little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) })
    }

    /// An access to memory whose size the register knows.
    pub(super) fn check_plain_memory(&mut self, reg: u8, off: i32, size: u32, access: Access, zero_size: bool) -> Step {
        let r = *self.reg(reg);
        if r.ty.may_be_null() {
            return reject(MemoryReason::InvalidMemAccess { reg, ty: reg_type_str(r.ty).into_owned() });
        }
        if access == Access::Write && r.ty.has(TypeFlags::RDONLY) {
            return reject(MemoryReason::CannotWrite { reg, ty: reg_type_str(r.ty).into_owned() });
        }
        if r.ty.has(TypeFlags::UNTRUSTED | TypeFlags::RDONLY) {
            return Ok(());
        }
        self.check_memory_region(reg, off, size, zero_size)
    }

    /// An access inside memory whose size the register knows.
    pub(super) fn check_memory_region(&mut self, reg: u8, off: i32, size: u32, zero_size: bool) -> Step {
        let RegExtra::Mem { size: region, .. } = self.reg(reg).extra else {
            return Err(Stop::unsupported("memory of unknown size"));
        };
        self.check_region(reg, off, size, region, zero_size)
    }

    /// A call reads all of a map's value from `off` on.
    pub(crate) fn check_helper_map_value(&mut self, reg: u8, off: i32, size: u32) -> Step {
        let value_size = self.reg(reg).map().map_or(0, |m| self.maps[m as usize].def.value_size);
        self.check_region(reg, off, size, value_size, false)?;
        let r = *self.reg(reg);
        self.check_special_fields(&r, off, size, Touch::Call).map(|_| ())
    }

    /// Whether a packet pointer may be given to a call that reads packets only when `reads_packets`.
    pub(crate) fn may_give_packet(&self, reads_packets: bool) -> bool {
        match self.effective_prog_type() {
            ProgType::CgroupSockopt => true,
            ProgType::LwtIn
            | ProgType::LwtOut
            | ProgType::LwtSeg6local
            | ProgType::SkReuseport
            | ProgType::FlowDissector
            | ProgType::CgroupSkb
            | ProgType::SchedCls
            | ProgType::SchedAct
            | ProgType::Xdp
            | ProgType::LwtXmit
            | ProgType::SkSkb
            | ProgType::SkMsg => reads_packets,
            _ => false,
        }
    }
}
