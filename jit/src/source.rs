//! What the translation of a program reads of it, and how to tell that two translations would be the same.

use crate::index::{FunctionNumber, Slot};
use crate::target::Tier;
use ebpfkit_abi::ProgType;
use ebpfkit_isa::{CallKind, Insn, Op};
use ebpfkit_verifier::Facts;
use ebpfkit_vm::maps::Map;
use ebpfkit_vm::native::{Access, ArrayGenerations};
use ebpfkit_vm::regions::Region;
use ebpfkit_vm::{CtxLayout, HelperFn, Program};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

/// A program to be translated. The translator sees no more of it than this: what is added here has to be part of
/// [`Key`], or follow from what is.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    program: &'a Program,
    /// With checks, nothing that was proved is used.
    checked: bool,
}

impl<'a> Source<'a> {
    pub(crate) fn new(program: &'a Program, checked: bool) -> Self {
        Self { program, checked }
    }

    /// Runs are checked.
    pub(crate) fn is_checked(&self) -> bool {
        self.checked
    }

    /// In the key.
    pub(crate) fn insns(&self) -> &'a [Insn] {
        self.program.insns()
    }

    /// In the key.
    pub(crate) fn prog_type(&self) -> ProgType {
        self.program.prog_type()
    }

    /// In the key.
    pub(crate) fn facts(&self) -> Option<&'a Facts> {
        self.program.verified().filter(|_| !self.checked).map(|v| v.facts())
    }

    /// In the key: the maps themselves, and all that they are made of and never change.
    pub(crate) fn maps(&self) -> &'a [Arc<Map>] {
        self.program.maps()
    }

    /// One of [`Source::maps`].
    pub(crate) fn arena(&self) -> Option<&'a Arc<Map>> {
        self.program.arena()
    }

    /// In the key.
    pub(crate) fn imm64_at(&self, slot: Slot) -> Option<u64> {
        self.program.imm64_at(slot.0)
    }

    /// In the key.
    pub(crate) fn helper_at(&self, slot: Slot) -> Option<HelperFn> {
        self.program.helper_at(slot.0)
    }

    /// Follows from the instructions and the helpers: the kernel functions among them.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.program.is_unbounded()
    }

    /// Follows from the instructions and the functions.
    pub(crate) fn function_cost(&self, function: FunctionNumber) -> u64 {
        self.program.function_cost(function.0)
    }

    /// Follows from the instructions.
    pub(crate) fn loop_jumps(&self) -> &'a [bool] {
        self.program.loop_jumps()
    }

    /// In the key.
    pub(crate) fn function_starts(&self) -> impl Iterator<Item = Slot> + use<> {
        self.program.functions().into_iter().map(|f| Slot(f.start))
    }

    /// Follows from the program type.
    pub(crate) fn ctx_layout(&self) -> &'a CtxLayout {
        self.program.ctx_layout()
    }

    /// Follows from the instructions, the program type and the facts.
    pub(crate) fn access_at(&self, slot: Slot) -> Option<Access> {
        self.program.access_at(slot.0)
    }

    /// In the key: the load at a slot when the verifier knows that it goes where no plain load can, with checks or without.
    pub(crate) fn special_load_at(&self, slot: Slot) -> Option<Access> {
        self.program.verified()?;
        self.access_at(slot).filter(|a| a.probe || a.map)
    }

    /// Follows from the maps and their order.
    pub(crate) fn array_generations(&self) -> &'a [ArrayGenerations] {
        self.program.array_generations()
    }

    /// Follows from the instructions and the maps.
    pub(crate) fn fixed_regions(&self) -> &'a [Region] {
        self.program.fixed_regions()
    }
}

/// All that native code depends on. Where two keys are equal, so is the code, with all addresses in it.
///
/// A map is the same when it is the same object. The weak reference keeps its address from being given to another map,
/// though not the map from being freed; and a program whose key is equal holds all maps that the code names.
pub(crate) struct Key {
    tier: Tier,
    verify_ir: bool,
    checked: bool,
    prog_type: ProgType,
    insns: Box<[Insn]>,
    /// First slots of functions: those that instructions name, and the exception callback.
    functions: Box<[Slot]>,
    /// What 64-bit immediate loads make, in the order of slots: addresses of maps and values, handles, numbers.
    numbers: Box<[Option<u64>]>,
    /// What calls go to, in the order of slots.
    helpers: Box<[Option<HelperFn>]>,
    /// Slots of loads that are not plain ones, and whether each reads a map.
    loads: Box<[(Slot, bool)]>,
    maps: Box<[Weak<Map>]>,
    facts: Option<Arc<Facts>>,
}

impl Key {
    pub(crate) fn new(program: &Program, checked: bool, tier: Tier, verify_ir: bool) -> Self {
        let source = Source::new(program, checked);
        let (mut numbers, mut helpers, mut loads) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = Slot(0);
        // Programs that cannot be decoded are not loaded.
        while let Ok((op, slots)) = ebpfkit_isa::decode(source.insns(), at.0) {
            match op {
                Op::LoadImm64 { .. } => numbers.push(source.imm64_at(at)),
                Op::Call(CallKind::Helper(_) | CallKind::Kfunc { .. }) => helpers.push(source.helper_at(at)),
                Op::Load { .. } => loads.extend(source.special_load_at(at).map(|a| (at, a.map))),
                _ => {}
            }
            at = at.plus(slots);
        }
        Self {
            tier,
            verify_ir,
            checked,
            prog_type: source.prog_type(),
            insns: source.insns().into(),
            functions: source.function_starts().collect(),
            numbers: numbers.into(),
            helpers: helpers.into(),
            loads: loads.into(),
            maps: source.maps().iter().map(Arc::downgrade).collect(),
            facts: program.verified().filter(|_| !checked).map(|v| v.shared_facts().clone()),
        }
    }

    /// Whether a program can still come that has this key: not once a map is gone.
    pub(crate) fn can_come_back(&self) -> bool {
        self.maps.iter().all(|m| m.strong_count() > 0)
    }

    fn same_helpers(&self, other: &Self) -> bool {
        let same = |(a, b): (&Option<HelperFn>, &Option<HelperFn>)| match (a, b) {
            (Some(a), Some(b)) => std::ptr::fn_addr_eq(*a, *b),
            (None, None) => true,
            _ => false,
        };
        self.helpers.len() == other.helpers.len() && self.helpers.iter().zip(&other.helpers).all(same)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let head = |k: &Self| (k.tier, k.verify_ir, k.checked, k.prog_type);
        head(self) == head(other)
            && self.insns == other.insns
            && self.functions == other.functions
            && self.numbers == other.numbers
            && self.same_helpers(other)
            && self.loads == other.loads
            && self.maps.len() == other.maps.len()
            && self.maps.iter().zip(&other.maps).all(|(a, b)| a.ptr_eq(b))
            && self.facts == other.facts
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Facts nearly always follow from the rest; where they do not, comparing finds out.
        (self.tier, self.verify_ir, self.checked, self.prog_type).hash(state);
        self.insns.hash(state);
        self.numbers.hash(state);
        self.helpers.iter().for_each(|h| h.map(|h| h as usize).hash(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebpfkit_asm::assemble_object;
    use ebpfkit_object::Target;
    use ebpfkit_verifier::observer::Silent;
    use ebpfkit_verifier::{KernelModel, Options, Verdict, verify};
    use ebpfkit_vm::Loader;

    #[test]
    fn what_was_proved_is_part_of_the_key_without_checks() {
        let text = ".section socket\n.globl entry\nentry:\nr0 = *(u32 *)(r1 + 0)\nexit\n";
        let prepared = assemble_object("m.s", text).expect("assembles").prepare(&Target::default()).expect("an object");
        let key = |checked| {
            let model = KernelModel::standard();
            let verdict = verify(&model, &prepared.object, 0, Options::to_run(), &mut Silent).verdict;
            let Verdict::Accepted(proof) = verdict else { panic!("{verdict:?}") };
            Key::new(&Loader::verified(&proof).load().expect("loads"), checked, Tier::Optimizing, false)
        };
        assert!(key(false) == key(false), "equal facts of two verifications");
        assert!(key(true).facts.is_none());
        let facts = key(false).facts.expect("proved");
        let other = |change: fn(&mut Facts)| {
            let mut facts = Facts::clone(&facts);
            change(&mut facts);
            Key { facts: Some(Arc::new(facts)), ..key(false) }
        };
        assert!(other(|_| ()) == key(false));
        assert!(other(|f| f.reached[1] = false) != key(false));
        assert!(other(|f| f.pointers[0] = None) != key(false));
    }
}
