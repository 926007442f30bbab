//! Resolving relocations against a kernel's types: candidates, agreement among them, the outcome.

use super::access::Access;
use super::compat::kinds_compatible;
use super::kind::CoreKind;
use super::locate::locate;
use super::value::{NoValue, Site, Value, value};
use crate::btf::{Btf, Kind, Type, TypeId};
use crate::model::CoreRelocation;
use rustc_hash::FxHashMap;

/// What becomes of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The access does not exist.
    Poison,
    /// One value is replaced by another.
    Replace {
        /// What the instruction holds, if that is checked.
        old: Option<u64>,
        /// What it shall hold.
        new: u64,
        /// Bytes of the field in the object and in the kernel.
        sizes: (u32, u32),
        /// The sizes differ and the field's type does not allow that.
        bad_size: bool,
    },
}

/// Resolves the relocations of one object.
pub(crate) struct Resolver<'a> {
    local: &'a Btf,
    target: Option<&'a Btf>,
    candidates: FxHashMap<TypeId, Vec<TypeId>>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(local: &'a Btf, target: Option<&'a Btf>) -> Self {
        Self { local, target, candidates: FxHashMap::default() }
    }

    /// Kernel types of the same essential name and kind; those that fit no earlier relocation are dropped.
    fn candidates(&mut self, id: TypeId, target: &Btf) -> Vec<TypeId> {
        let local = self.local;
        let find = || {
            let mut found = target.find_flavours(local.name(id));
            found.retain(|&c| kinds_compatible(local.kind(id), target.kind(c)));
            found
        };
        self.candidates.entry(id).or_insert_with(find).clone()
    }

    /// The outcome of one relocation; libbpf's first complaint when it refuses.
    pub(crate) fn resolve(&mut self, relocation: &CoreRelocation) -> Result<Outcome, String> {
        let (local, id) = (self.local, relocation.type_id);
        let head = format!("prog '{}': relo #{}:", relocation.function, relocation.number);
        let Some(kind_name) = local.kind(id).map(Kind::name) else {
            return Err(format!("{head} failed to relocate: -22"));
        };
        let name = local.name(id);
        let is_local = CoreKind::from_number(relocation.kind) == Some(CoreKind::TypeIdLocal);
        if name.is_empty() && !is_local {
            return Err(format!("{head} target candidate search failed for [{id}] {kind_name} {name}: -22"));
        }
        let access = Access::parse(local, relocation).map_err(|error| {
            let name = if name.is_empty() { "<anon>" } else { name };
            format!("{head} parsing [{id}] {kind_name} {name} + {} failed: {error}", relocation.access)
        })?;
        if is_local {
            return Ok(Outcome::Replace { old: None, new: id.into(), sizes: (0, 0), bad_size: false });
        }
        let Some(target) = self.target else {
            return Err("Error loading vmlinux BTF: -3".into());
        };
        let mut fitting = Vec::new();
        let mut agreed: Option<(Access, Outcome)> = None;
        for (number, candidate) in self.candidates(id, target).into_iter().enumerate() {
            let found = locate(local, &access, target, candidate).map_err(|stuck| {
                let so_far = stuck.so_far.describe(target);
                format!("{head} error matching candidate #{number} {so_far}: {}", stuck.error)
            })?;
            let Some(found) = found else { continue };
            let outcome = self.outcome(relocation, &access, Some((target, &found)))?;
            match &agreed {
                Some((first, _)) if first.bit_offset != found.bit_offset => {
                    return Err(format!("{head} field offset ambiguity: {} != {}", found.bit_offset, first.bit_offset));
                }
                Some((_, first)) if described(first) != described(&outcome) => {
                    let ((a, b), (c, d)) = (described(&outcome), described(first));
                    return Err(format!("{head} relocation decision ambiguity: {a} {b} != {c} {d}"));
                }
                Some(_) => {}
                None => agreed = Some((found, outcome)),
            }
            fitting.push(candidate);
        }
        if !fitting.is_empty() {
            self.candidates.insert(id, fitting);
        }
        match agreed {
            Some((_, outcome)) => Ok(outcome),
            None => self.outcome(relocation, &access, None),
        }
    }

    fn outcome(
        &self,
        relocation: &CoreRelocation,
        access: &Access,
        found: Option<(&Btf, &Access)>,
    ) -> Result<Outcome, String> {
        let local = self.local;
        let site = Site { function: &relocation.function, insn: relocation.insn, kind: relocation.kind };
        let old = value(local, access.kind, Some(access), &site);
        let new = old.clone().and_then(|_| match found {
            Some((target, found)) => value(target, access.kind, Some(found), &site),
            None => value(local, access.kind, None, &site),
        });
        match (old, new) {
            (Ok(old), Ok(new)) => Ok(Outcome::Replace {
                old: old.checked.then_some(old.value),
                new: new.value,
                sizes: (old.size, new.size),
                bad_size: found.is_some_and(|(target, _)| bad_size(local, &old, target, &new)),
            }),
            (Err(NoValue::Missing), _) | (_, Err(NoValue::Missing)) => Ok(Outcome::Poison),
            (Err(NoValue::Refused { error, complaint }), _) | (_, Err(NoValue::Refused { error, complaint })) => {
                Err(complaint.unwrap_or_else(|| {
                    let (function, number) = (&relocation.function, relocation.number);
                    format!("prog '{function}': relo #{number}: failed to relocate: {error}")
                }))
            }
        }
    }
}

/// As libbpf compares and prints outcomes.
fn described(outcome: &Outcome) -> (&'static str, u64) {
    match outcome {
        Outcome::Poison => ("failure", 0),
        Outcome::Replace { new, .. } => ("success", *new),
    }
}

/// Sizes may differ for pointers and for unsigned integers, which loads extend with zeros.
fn bad_size(local: &Btf, old: &Value, target: &Btf, new: &Value) -> bool {
    if old.size == new.size {
        return false;
    }
    match (local.get(old.ty), target.get(new.ty)) {
        (Some(Type::Ptr(_)), Some(Type::Ptr(_))) => false,
        (Some(Type::Int { encoding: a, .. }), Some(Type::Int { encoding: b, .. })) => {
            // An encoding with more than the sign, such as a signed character, is let through by libbpf.
            let only_signed = |e: crate::btf::IntEncoding| e.signed && !e.char && !e.bool;
            only_signed(a) || only_signed(b)
        }
        _ => true,
    }
}

impl CoreRelocation {
    /// What libbpf says when the kernel reaches the poisoned instruction.
    pub(crate) fn failure(&self, local: &Btf) -> String {
        match Access::parse(local, self) {
            Ok(access) => format!("failed to resolve CO-RE relocation {}", access.describe(local)),
            Err(_) => "invalid func unknown#195896080".into(),
        }
    }

    /// What the relocation looks for, in libbpf's words; `None` where it makes no sense.
    pub fn description(&self, local: &Btf) -> Option<String> {
        Some(Access::parse(local, self).ok()?.describe(local))
    }

    /// Whether the kernel's types are needed.
    pub fn needs_target(&self) -> bool {
        CoreKind::from_number(self.kind) != Some(CoreKind::TypeIdLocal)
    }
}
