//! Arguments that point to special fields of values: timers and exchanged kernel pointers.

use super::helper::CallMeta;
use crate::domain::RegExtra;
use crate::reason::{CallReason, ResourceReason, reject};
use crate::{Env, Step, Stop};
use ebpfkit_object::record::FieldKind;

impl Env<'_> {
    /// The register must point to the timer of a map's value.
    pub(super) fn check_timer(&mut self, reg: u8, meta: &mut CallMeta) -> Step {
        let r = *self.reg(reg);
        let field = || "bpf_timer".to_owned();
        if !r.var_off.is_const() {
            return reject(ResourceReason::LockNotConstant { reg, field: field() });
        }
        let RegExtra::Map { map, uid } = r.extra else { return Err(Stop::unsupported("a timer outside of a map")) };
        let used = &self.maps[map as usize];
        let name = || used.def.name.clone();
        if used.def.value_type == 0 {
            return reject(ResourceReason::MapWithoutBtf { map: name(), field: field() });
        }
        let Some(at) = used.record.find(FieldKind::Timer).map(|f| f.offset) else {
            return reject(CallReason::NoTimer { map: name() });
        };
        let off = (r.var_off.value as i64).wrapping_add(r.off.into());
        if off != i64::from(at) {
            return reject(CallReason::WrongTimerOffset { off, at });
        }
        (meta.map, meta.map_uid) = (Some(map), uid);
        Ok(())
    }

    /// The register must point to a kernel pointer that the program owns by reference.
    pub(super) fn check_kptr_dest(&mut self, reg: u8, meta: &mut CallMeta) -> Step {
        let r = *self.reg(reg);
        if let RegExtra::Map { map, .. } = r.extra {
            let def = &self.maps[map as usize].def;
            if def.value_type == 0 {
                let (map, field) = (def.name.clone(), "bpf_kptr_xchg".to_owned());
                return reject(ResourceReason::MapWithoutBtf { map, field });
            }
            meta.map = Some(map);
        }
        if !r.var_off.is_const() {
            return reject(ResourceReason::LockNotConstant { reg, field: "kptr".to_owned() });
        }
        let record = self.record_of(&r);
        let kptrs = |k: FieldKind| k.is_kptr() && k != FieldKind::Uptr;
        let Some(record) = record.filter(|rec| rec.fields.iter().any(|f| kptrs(f.kind))) else {
            let map = r.map().map_or(String::new(), |m| self.maps[m as usize].def.name.clone());
            return reject(CallReason::NoKptr { reg, map });
        };
        let off = i64::from(r.off).wrapping_add(r.var_off.value as i64) as u32;
        let Some(field) = record.fields.iter().find(|f| f.offset == off && kptrs(f.kind)) else {
            return reject(CallReason::NotAtKptr { off: off as i32 });
        };
        if !matches!(field.kind, FieldKind::KptrRef | FieldKind::KptrPercpu) {
            return reject(CallReason::KptrNotReferenced { off: off as i32 });
        }
        meta.kptr = Some(*field);
        Ok(())
    }
}
