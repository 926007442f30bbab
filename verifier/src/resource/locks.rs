//! `bpf_spin_lock` and `bpf_res_spin_lock`: which lock is held, and that it is let go in order.

use crate::domain::{BtfRef, RegBase, RegExtra, RegState, RegType};
use crate::reason::{ResourceReason, reject};
use crate::state::{RefKind, Reference};
use crate::{Env, Step};
use ebpfkit_abi::Feature;
use ebpfkit_object::record::FieldKind;

/// Kind of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// `bpf_spin_lock`.
    Spin,
    /// `bpf_res_spin_lock`.
    Resilient,
    /// `bpf_res_spin_lock_irqsave`.
    ResilientIrq,
}

impl LockKind {
    fn reference(self) -> RefKind {
        match self {
            Self::Spin => RefKind::Lock,
            Self::Resilient => RefKind::ResLock,
            Self::ResilientIrq => RefKind::ResLockIrq,
        }
    }

    fn field(self) -> FieldKind {
        if self == Self::Spin { FieldKind::SpinLock } else { FieldKind::ResSpinLock }
    }

    fn name(self) -> &'static str {
        if self == Self::Spin { "bpf_spin" } else { "bpf_res_spin" }
    }
}

fn is_lock(r: &Reference) -> bool {
    matches!(r.kind, RefKind::Lock | RefKind::ResLock | RefKind::ResLockIrq)
}

/// What a pointer's allocation belongs to, as locks are told apart: a map, or the BTF of an allocated object.
pub fn lock_owner(r: &RegState) -> u64 {
    const OBJECTS: u64 = 1 << 32;
    match r.extra {
        RegExtra::Map { map, .. } => u64::from(map) + 1,
        RegExtra::Btf { btf: BtfRef::Program, .. } => OBJECTS,
        _ => OBJECTS + 1,
    }
}

impl Env<'_> {
    /// Takes the lock that a register points to.
    pub fn process_lock(&mut self, reg: u8, kind: LockKind) -> Step {
        let r = self.check_lock_address(reg, kind)?;
        let owner = lock_owner(&r);
        let res = &self.path.state.res;
        if kind == LockKind::Spin {
            if res.refs.iter().any(|l| l.kind == RefKind::Lock) {
                return reject(ResourceReason::TwoLocks {});
            }
        } else if res
            .refs
            .iter()
            .any(|l| is_lock(l) && l.kind != RefKind::Lock && l.id == r.id && l.lock_owner == owner)
        {
            return reject(ResourceReason::LockAlreadyHeld {});
        }
        let insn = self.path.insn_idx;
        let res = self.path.state.res_mut();
        res.refs.push(Reference { kind: kind.reference(), id: r.id, insn, parent: 0, lock_owner: owner });
        res.active_locks += 1;
        (res.active_lock_id, res.active_lock_owner) = (r.id, owner);
        Ok(())
    }

    /// Lets go of the lock that a register points to.
    pub fn process_unlock(&mut self, reg: u8, kind: LockKind) -> Step {
        let r = self.check_lock_address(reg, kind)?;
        let (owner, lock) = (lock_owner(&r), kind.name());
        let res = self.path.state.res_mut();
        if res.active_locks == 0 {
            return reject(ResourceReason::UnlockWithoutLock { lock });
        }
        let held = res.refs.iter().position(|l| l.kind == kind.reference() && l.id == r.id && l.lock_owner == owner);
        let Some(at) = held else { return reject(ResourceReason::UnlockOther { lock }) };
        if r.id != res.active_lock_id || owner != res.active_lock_owner {
            return reject(ResourceReason::UnlockOutOfOrder { lock });
        }
        res.refs.remove(at);
        res.active_locks -= 1;
        let outer = res.refs[..at].iter().rev().find(|l| is_lock(l)).map(|l| (l.id, l.lock_owner));
        (res.active_lock_id, res.active_lock_owner) = outer.unwrap_or((0, 0));
        self.invalidate_non_owning_refs();
        if self.has(Feature::RcuWithoutPreemption) {
            self.end_protection();
        }
        Ok(())
    }

    /// The register must point to a lock of this kind.
    fn check_lock_address(&self, reg: u8, kind: LockKind) -> Step<RegState> {
        let (r, lock) = (*self.reg(reg), kind.name());
        if kind == LockKind::Spin && self.in_tree_callback() {
            return reject(ResourceReason::LockInTreeCallback {});
        }
        if !r.var_off.is_const() {
            return reject(ResourceReason::LockNotConstant { reg, field: format!("{lock}_lock") });
        }
        let map = if r.ty == RegType::of(RegBase::MapValue) { r.map() } else { None };
        let map = map.map(|m| &self.maps[m as usize]);
        if let Some(m) = map
            && m.def.value_type == 0
        {
            return reject(ResourceReason::MapWithoutBtf { map: m.def.name.clone(), field: format!("{lock}_lock") });
        }
        let at = self.record_of(&r).and_then(|rec| rec.find(kind.field()).map(|f| f.offset));
        let Some(at) = at else {
            let (owner, name) = match map {
                Some(m) => ("map", m.def.name.clone()),
                None => ("local", "kptr".to_owned()),
            };
            return reject(ResourceReason::NoLock { owner, name, lock });
        };
        let off = i64::from(r.off).wrapping_add(r.var_off.value as i64);
        if off != i64::from(at) {
            return reject(ResourceReason::WrongLockOffset { off, lock, at });
        }
        Ok(r)
    }

    /// Whether the allocation that a register points into is locked.
    pub fn allocation_locked(&self, r: &RegState) -> bool {
        let res = &self.path.state.res;
        res.active_locks != 0 && res.refs.iter().any(|l| is_lock(l) && l.id == r.id && l.lock_owner == lock_owner(r))
    }
}
