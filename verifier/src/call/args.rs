//! Arguments of helpers: what each register must be.

use super::helper::CallFacts;
use crate::memory::Access;
use crate::memory::access::RawBuffer;
use crate::reason::{CallReason, reject};
use crate::reg::RegBase;
use crate::scalar::RegArg::SrcOp;
use crate::scalar::reg_type_str;
use crate::stack::{SLOT_SIZE, SlotKind};
use crate::{Env, Step, Stop};
use ebpfkit_abi::proto::{ArgBase, ArgType, Helper, HelperFlags, Prototype};
use ebpfkit_abi::{MapType, TypeFlags};

const KEY_KINDS: &[RegBase] =
    &[RegBase::Stack, RegBase::Packet, RegBase::PacketMeta, RegBase::MapKey, RegBase::MapValue];

impl Env<'_> {
    /// Checks argument number `index` of a helper.
    pub(super) fn check_helper_arg(
        &mut self,
        row: &Helper,
        helper: &Prototype,
        index: usize,
        facts: &mut CallFacts,
    ) -> Step {
        let (want, reg) = (helper.args[index], index as u8 + 1);
        if want.base == ArgBase::DontCare {
            return Ok(());
        }
        self.check_reg_arg(reg, SrcOp)?;
        if want.base == ArgBase::Anything {
            return Ok(());
        }
        let r = *self.reg(reg);
        if r.is_pkt() && !helper.flags.contains(HelperFlags::PKT_ACCESS) {
            return reject(CallReason::PacketArgument {});
        }
        if want.flags.contains(TypeFlags::MAYBE_NULL) && r.is_null() {
            return Ok(());
        }
        self.check_arg_kind(want, reg)?;
        match want.base {
            ArgBase::Ctx => self.check_unmoved(reg),
            ArgBase::ConstMapPtr => {
                self.check_unmoved(reg)?;
                facts.map = r.map();
                Ok(())
            }
            ArgBase::MapKey => {
                let Some(map) = facts.map else { return Err(Stop::unsupported("a key without a map")) };
                let size = self.maps[map as usize].def.key_size;
                self.check_helper_mem_access(reg, size as i32, Access::Read, false, None)?;
                facts.const_key = self.const_map_key(map, reg);
                Ok(())
            }
            ArgBase::MapValue => {
                let Some(map) = facts.map else { return Err(Stop::unsupported("a value without a map")) };
                let size = self.maps[map as usize].def.value_size;
                self.check_helper_mem_access(reg, size as i32, Access::Read, false, None)
            }
            // Memory is checked together with its size, the next argument.
            ArgBase::Mem => Ok(()),
            ArgBase::ConstSize | ArgBase::ConstSizeOrZero => {
                let mem = helper.args[index - 1];
                let access = if mem.flags.contains(TypeFlags::WRITE) { Access::Write } else { Access::Read };
                let mut raw = RawBuffer::default();
                let wanted = mem.flags.contains(TypeFlags::UNINIT).then_some(&mut raw);
                self.check_mem_size_reg(reg - 1, reg, access, want.base == ArgBase::ConstSizeOrZero, wanted)?;
                if raw.access_size > 0 {
                    facts.raw = Some(raw);
                }
                Ok(())
            }
            _ => Err(Stop::unsupported(format!("arguments of helper {}", row.name))),
        }
    }

    fn check_arg_kind(&self, want: ArgType, reg: u8) -> Step {
        let ty = self.reg(reg).ty;
        let plain = ty.flags.is_empty();
        let (fits, expected) = match want.base {
            ArgBase::Ctx => (plain && ty.base == RegBase::Ctx, "ctx"),
            ArgBase::ConstMapPtr => (plain && ty.base == RegBase::ConstMap, "map_ptr"),
            ArgBase::ConstSize | ArgBase::ConstSizeOrZero => (ty.base == RegBase::Scalar, "scalar"),
            ArgBase::Mem | ArgBase::MapKey | ArgBase::MapValue => {
                let simple = plain && (KEY_KINDS.contains(&ty.base) || ty.base == RegBase::Mem);
                if !simple && matches!(ty.base, RegBase::Mem | RegBase::Buf | RegBase::BtfId) {
                    return Err(Stop::unsupported(format!("{} pointers as buffers", reg_type_str(ty))));
                }
                (simple, "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
            }
            _ => return Err(Stop::unsupported("this kind of argument")),
        };
        if fits {
            return Ok(());
        }
        reject(CallReason::ArgumentKind { reg, ty: reg_type_str(ty).into_owned(), expected })
    }

    /// The key of an array lookup, when it lies on the stack as a known number.
    fn const_map_key(&self, map: u32, reg: u8) -> Option<u64> {
        let def = &self.maps[map as usize].def;
        if !matches!(def.map_type, MapType::Array | MapType::PercpuArray) {
            return None;
        }
        let r = self.reg(reg);
        if r.ty.base != RegBase::Stack || !r.var_off.is_const() {
            return None;
        }
        let at = i64::from(r.off).wrapping_add(r.var_off.value as i64);
        let below = usize::try_from(-at - 1).ok()?;
        let slot = self.cur.frames.get(r.frameno as usize)?.stack.slots.get(below / SLOT_SIZE)?;
        let from = &slot.kinds[..=below % SLOT_SIZE];
        let run = |kind| from.iter().rev().take_while(|&&k| k == kind).count();
        if run(SlotKind::Zero) >= def.key_size as usize {
            return Some(0);
        }
        let spilled = slot.is_scalar_spill() && run(SlotKind::Spill) == def.key_size as usize;
        slot.spilled.const_value().filter(|_| spilled)
    }
}
