//! Helpers: whether one may be called, and what the call leaves behind.

use crate::memory::Access;
use crate::memory::access::RawBuffer;
use crate::reason::{CallReason, reject};
use crate::reg::{RegBase, RegExtra, RegState, RegType};
use crate::{Env, Step, Stop};
use ebpfkit_abi::proto::{HelperFlags, RetBase};
use ebpfkit_abi::{Callers, MapType, TypeFlags, helpers};

/// What the arguments of a call have shown.
#[derive(Default)]
pub(super) struct CallFacts {
    pub map: Option<u32>,
    pub const_key: Option<u64>,
    pub raw: Option<RawBuffer>,
}

const GET_SMP_PROCESSOR_ID: u32 = 8;
const TAIL_CALL: u32 = 12;
const REDIRECT_MAP: u32 = 51;
const MAP_RDONLY_PROG: u32 = 1 << 7;

/// Licenses that the kernel takes for compatible with the GPL.
fn is_gpl_compatible(license: &str) -> bool {
    const COMPATIBLE: [&str; 6] =
        ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"];
    COMPATIBLE.contains(&license)
}

impl Env<'_> {
    /// Verifies the call of a helper.
    pub(super) fn check_helper_call(&mut self, id: i32) -> Step {
        let row = u32::try_from(id).ok().and_then(helpers::find);
        let Some(row) = row else { return reject(CallReason::UnknownHelper { name: "unknown".into(), id }) };
        let kind = Callers::of(self.prog.prog_type, self.prog.attach_type);
        let Some(helper) = row.prototype(kind).filter(|p| !p.flags.contains(HelperFlags::OPTIONAL)) else {
            return reject(CallReason::HelperNotOffered { name: row.name, id: row.id });
        };
        if helper.flags.contains(HelperFlags::GPL_ONLY) && !is_gpl_compatible(&self.object.license) {
            return reject(CallReason::GplOnly {});
        }
        let mut facts = CallFacts::default();
        for index in 0..helper.args.len() {
            self.check_helper_arg(row, helper, index, &mut facts)?;
        }
        self.check_map_fits(row.id, facts.map)?;
        if let Some(raw) = facts.raw {
            for i in 0..raw.access_size {
                self.check_mem_access(self.insn_idx, raw.reg, i, 1, Access::Write, None, false, false)?;
            }
        }
        if row.id == TAIL_CALL {
            self.check_resource_leak(false, true, "tail_call")?;
        }
        for reg in 0..=5 {
            self.mark_reg_not_init(reg);
        }
        match helper.ret.base {
            RetBase::Integer => self.mark_reg_unknown(0),
            RetBase::Void => {}
            RetBase::MapValue => {
                let Some(map) = facts.map else { return Err(Stop::unsupported("a value without a map")) };
                let max = u64::from(self.maps[map as usize].def.max_entries);
                // An array has every element there is.
                let present = facts.const_key.is_some_and(|k| k < max);
                let flags = if present { TypeFlags::empty() } else { helper.ret.flags };
                let ty = RegType::with(RegBase::MapValue, flags);
                let id = if present { 0 } else { self.new_id() };
                *self.reg_mut(0) = RegState { id, ..RegState::pointer(ty, RegExtra::Map { map, uid: 0 }) };
            }
            _ => return Err(Stop::unsupported(format!("what helper {} returns", row.name))),
        }
        if row.id == GET_SMP_PROCESSOR_ID {
            let last = self.kernel.cpus.saturating_sub(1);
            let r0 = self.reg_mut(0);
            (r0.umin, r0.umax, r0.u32_min, r0.u32_max) = (0, last.into(), 0, last);
            (r0.smin, r0.smax, r0.s32_min, r0.s32_max) = (0, last.into(), 0, last as i32);
            r0.sync_bounds();
        }
        if helper.flags.contains(HelperFlags::CHANGES_PKT_DATA) {
            self.clear_all_pkt_pointers();
        }
        self.insn_idx += 1;
        Ok(())
    }

    /// Whether this helper works on this type of map, as far as that is modelled.
    fn check_map_fits(&self, helper: u32, map: Option<u32>) -> Step {
        let Some(map) = map else { return Ok(()) };
        let def = &self.maps[map as usize].def;
        let keyed = matches!(
            def.map_type,
            MapType::Hash
                | MapType::Array
                | MapType::PercpuHash
                | MapType::PercpuArray
                | MapType::LruHash
                | MapType::LruPercpuHash
                | MapType::LpmTrie
        );
        let redirects =
            matches!(def.map_type, MapType::Devmap | MapType::DevmapHash | MapType::Cpumap | MapType::Xskmap);
        let fits = match helper {
            REDIRECT_MAP => redirects,
            TAIL_CALL => def.map_type == MapType::ProgArray,
            _ => keyed,
        };
        if !fits || helper > 1 && def.flags & MAP_RDONLY_PROG != 0 {
            return Err(Stop::unsupported(format!("helper number {helper} on {} maps", def.map_type)));
        }
        Ok(())
    }
}
