//! Remedies as edits: applied to the program, verified again, and offered only if the result is accepted.

mod bounds;
mod calls;
mod code;
mod ctx;
mod other;
pub(crate) mod patch;
mod pointers;
mod release;
mod rust;
mod scratch;
mod source;

use crate::case::{Case, exit_text, exit_value, stack_used};
use crate::diagnosis::{InsnEdit, SourceEdit, Suggestion};
use crate::origin::{Location, slot_index};
use crate::trace::Recorder;
use ebpfkit_isa::opcode::MAY_GOTO;
use ebpfkit_isa::{Insn, RegSet};
use ebpfkit_object::{Object, Program, ProgramFlags};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::reason::{ExploreReason, ScalarReason};
use ebpfkit_verifier::{KernelModel, Observer, Options, Reason, RegState, RegType, Report, Verdict, check_program};
use patch::{Edit, New};
use std::borrow::Cow;

/// Verifications that are spent on proofs.
pub(crate) const TRIES: usize = 24;
/// The likeliest tries, which come first, and what they may walk together: a program that is rejected early may be long.
const FIRST: usize = 3;
const FIRST_STEPS: u64 = 4_000;
/// The same where a loop ends because its states agree, which they do soon or not at all.
const FIRST_STEPS_TO_AGREE: u64 = 1_000;
/// Attempts after which other rejections came that are mended in their turn, the first of all.
const FURTHER: usize = 3;
/// Rejections that are mended one after the other.
const LONGEST: usize = 10;

/// A remedy that can be tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mend {
    /// What it does, in words.
    pub(crate) text: String,
    /// Edits of instructions.
    pub(crate) edits: Vec<Edit>,
    /// Another type for a map: number of the map and the type, with the sizes of key and value.
    pub(crate) map: Option<(usize, ebpfkit_abi::MapType, u32, u32)>,
    /// A map that is added.
    pub(crate) scratch: Option<scratch::Scratch>,
    /// A global function that becomes a static one.
    pub(crate) make_static: Option<String>,
    /// The section that makes the program one that may sleep.
    pub(crate) sleepable: Option<String>,
    /// The license that the object gets.
    pub(crate) license: Option<&'static str>,
    /// The same as edits of lines.
    pub(crate) source: Vec<SourceEdit>,
}

impl Mend {
    pub(crate) fn new(text: impl Into<String>, edits: Vec<Edit>) -> Self {
        Self { text: text.into(), edits, ..Self::default() }
    }

    pub(crate) fn source(mut self, edit: Option<SourceEdit>) -> Self {
        self.source.extend(edit);
        self
    }
}

/// A program that was mended.
pub(crate) struct Mended {
    /// The suggestion that says how.
    pub(crate) suggestion: Suggestion,
    /// How to do the same to the object again.
    pub(crate) repair: Repair,
}

/// What was done to a program so that the verifier takes it: it can be done to the same object before it was prepared.
#[derive(Clone, Debug, Default)]
pub struct Repair {
    steps: Vec<(Mend, Vec<usize>)>,
}

impl Repair {
    /// The object with the program mended; none where that is another program.
    pub fn apply(&self, object: &Object, program: usize) -> Option<Object> {
        let mut object = object.clone();
        for (mend, ends) in &self.steps {
            let edited = changed(&object, object.programs.get(program)?, mend, ends)?;
            let (around, new) = (edited.object.into_owned(), edited.program);
            object = around;
            object.programs[program] = new;
        }
        Some(object)
    }
}

/// What is verified again and how.
pub(crate) struct Prover {
    options: Options,
    tries: usize,
    /// Instructions that all tries together may walk.
    fuel: u64,
    /// Tries that may walk further than that, and how far all of them together.
    first: (usize, u64),
}

/// What is known of the edits so far.
#[derive(Clone, Default)]
struct SoFar {
    texts: Vec<String>,
    source: Vec<SourceEdit>,
    insns: Vec<InsnEdit>,
    without_source: bool,
    repair: Repair,
}

impl Prover {
    pub(crate) fn new(options: Options, tries: usize, fuel: u64) -> Self {
        Self { options, tries, fuel, first: (FIRST, FIRST_STEPS) }
    }

    /// Looks for remedies of a rejection that the verifier takes.
    pub(crate) fn mend(&mut self, case: &Case<'_>) -> Vec<Mended> {
        if has_open_loop(case) {
            self.first.1 = self.first.1.min(FIRST_STEPS_TO_AGREE);
        }
        let slots: Vec<Option<usize>> = (0..case.program.insns.len()).map(Some).collect();
        self.search(case, &slots, &SoFar::default(), 0).into_iter().collect()
    }

    /// The limits of the next attempt; none where no more are to be made.
    fn attempt(&self) -> Option<Options> {
        let fuel = if self.first.0 > 0 { self.fuel.max(self.first.1) } else { self.fuel };
        let max_insns = self.options.max_insns.min(fuel);
        (self.tries > 0 && max_insns > 0).then_some(Options { max_insns, ..self.options })
    }

    fn search(&mut self, case: &Case<'_>, slots: &[Option<usize>], so_far: &SoFar, length: usize) -> Option<Mended> {
        let Case { object, program, rejection, .. } = *case;
        let ends = case.function_ends();
        let mut further = Vec::new();
        let mut candidates = candidates(case);
        let mut is_first = length == 0;
        loop {
            // Without another attempt there is no use in thinking of one.
            let options = self.attempt()?;
            let Some(mend) = candidates.next() else { break };
            let Some(edited) = changed(object, program, &mend, &ends) else { continue };
            // The likeliest remedy is accepted as a rule; a path is recorded where that is not to be expected.
            let mut recorder = if is_first { None } else { Some(Recorder::default()) };
            let report = check(case.kernel, &edited, options, recorder.as_mut());
            is_first = false;
            self.spend(report.insns_processed);
            let next = match report.verdict {
                Verdict::Accepted(()) => {
                    return Some(mended(said(case, so_far, mend, &edited, slots, &ends)));
                }
                Verdict::Rejected(next) => next,
                Verdict::Unsupported { .. } => continue,
            };
            // Another rejection may be mended too, if it is another one.
            let old = edited.was.get(next.insn).copied().flatten();
            let moved = old != Some(rejection.insn)
                || next.reason.name() != rejection.reason.name()
                // The same is left open on another path.
                || matches!(next.reason, Reason::Resource(_));
            let is_spent = options.max_insns < self.options.max_insns
                && matches!(next.reason, Reason::Explore(ExploreReason::TooLarge { .. }));
            // Code that was put in and reads what has no value is not for this place.
            let is_misfit = old.is_none() && matches!(next.reason, Reason::Scalar(ScalarReason::UninitRegister { .. }));
            if moved && !is_spent && !is_misfit && further.len() < FURTHER {
                further.push((mend, edited, next, options, recorder));
            }
        }
        if length + 1 == LONGEST {
            return None;
        }
        for (mend, edited, next, options, recorder) in further {
            self.attempt()?;
            let recorder = recorder.unwrap_or_else(|| {
                let mut recorder = Recorder::default();
                check(case.kernel, &edited, options, Some(&mut recorder));
                recorder
            });
            let trace = recorder.into_trace().unwrap_or_default();
            let said = said(case, so_far, mend, &edited, slots, &ends);
            let slots = edited.origins(slots);
            let case =
                Case { object: &edited.object, program: &edited.program, rejection: &next, trace: &trace, ..*case };
            if let Some(found) = self.search(&case, &slots, &said, length + 1) {
                return Some(found);
            }
        }
        None
    }

    /// So many instructions were walked by another try.
    fn spend(&mut self, insns: u64) {
        self.tries -= 1;
        self.fuel = self.fuel.saturating_sub(insns);
        let (tries, steps) = self.first;
        self.first = (tries.saturating_sub(1), steps.saturating_sub(insns));
    }
}

/// Whether a program has a loop that may run any number of times: over an iterator, or one with `may_goto`.
fn has_open_loop(case: &Case<'_>) -> bool {
    let next = |insn: &Insn| {
        let name = case.kernel.btf().map_or("", |types| types.name(insn.imm as u32));
        name.starts_with("bpf_iter_") && name.ends_with("_next")
    };
    case.program.insns.iter().any(|i| i.code == MAY_GOTO || i.is_kfunc_call() && next(i))
}

/// What the kernel makes of an edited program.
fn check(kernel: &KernelModel, edited: &Edited<'_>, options: Options, recorder: Option<&mut Recorder>) -> Report<()> {
    let observer: &mut dyn Observer = match recorder {
        Some(recorder) => recorder,
        None => &mut Silent,
    };
    check_program(kernel, &edited.object, &edited.program, options, observer)
}

/// A program that was edited.
struct Edited<'o> {
    /// The object around it: the same as before, unless a map or a type was edited. Its own program is the old one.
    object: Cow<'o, Object>,
    program: Program,
    /// For each slot of the program the one that it was.
    was: Vec<Option<usize>>,
}

impl Edited<'_> {
    /// For each slot the one of the program that was rejected first, of which `before` tells for the program before the edit.
    fn origins(&self, before: &[Option<usize>]) -> Vec<Option<usize>> {
        self.was.iter().map(|w| w.and_then(|w| before.get(w).copied().flatten())).collect()
    }
}

/// A program with a mend applied.
fn changed<'o>(object: &'o Object, program: &Program, mend: &Mend, ends: &[usize]) -> Option<Edited<'o>> {
    let (mut program, was) = patch::apply(program, &mend.edits, ends)?;
    if program.insns.len() > 65_536 {
        return None;
    }
    if let Some(section) = &mend.sleepable {
        program.flags.0 |= ProgramFlags::SLEEPABLE;
        program.section.clone_from(section);
    }
    let mut object = Cow::Borrowed(object);
    if let Some((map, kind, key, value)) = mend.map {
        let m = object.to_mut().maps.get_mut(map)?;
        (m.map_type, m.key_size, m.value_size) = (kind, key, value);
        (m.key_type, m.value_type) = (0, 0);
    }
    if let Some(scratch) = &mend.scratch {
        object.to_mut().maps.push(scratch.map());
    }
    if let Some(license) = mend.license {
        license.clone_into(&mut object.to_mut().license);
    }
    if let Some(name) = &mend.make_static {
        let btf = object.btf.clone()?;
        let id = btf.find(name, ebpfkit_object::btf::Kind::Func)?;
        let mut edit = ebpfkit_object::btf::Edit::new(&btf);
        edit.set_func_linkage(id, 0);
        object.to_mut().btf = Some(std::sync::Arc::new(edit.finish().ok()?));
    }
    Some(Edited { object, program, was })
}

/// What has been done so far, with one more mend. `before` tells for each slot of the program before it which one it was of
/// the program that was rejected first.
fn said(
    case: &Case<'_>,
    so_far: &SoFar,
    mut mend: Mend,
    edited: &Edited<'_>,
    before: &[Option<usize>],
    ends: &[usize],
) -> SoFar {
    let Edited { program: new, was, .. } = edited;
    let slots = edited.origins(before);
    let mut all = so_far.clone();
    // A larger step in the same direction takes the place of a smaller one.
    // Numbers alone differ; those of registers say which is meant.
    let kind = |t: &str| {
        let words = t.split(' ').map(|w| if w.trim_matches(['(', ')']).parse::<u64>().is_ok() { "" } else { w });
        words.collect::<Vec<_>>().join(" ").replace("bytes", "byte")
    };
    if all.texts.last().is_some_and(|t| kind(t) == kind(&mend.text)) {
        all.texts.pop();
        // What it says of a line says the smaller one too.
        all.source.retain(|e| !mend.source.iter().any(|m| m.file == e.file && m.line == e.line && m.old == e.old));
    }
    // The repair does not need what is only said.
    all.texts.push(std::mem::take(&mut mend.text));
    all.without_source |= mend.source.is_empty();
    for edit in std::mem::take(&mut mend.source) {
        let same = |e: &&mut SourceEdit| e.file == edit.file && e.line == edit.line && e.old == edit.old;
        match all.source.iter_mut().find(same) {
            Some(earlier) => source::merge(earlier, &edit),
            None => all.source.push(edit),
        }
    }
    let after = Case { program: new, ..*case };
    let mut at = 0;
    while at < was.len() {
        if was[at].is_some() {
            at += 1;
            continue;
        }
        let end = (at..was.len()).find(|&i| was[i].is_some()).unwrap_or(was.len());
        let inserted: Vec<String> = (at..end).filter_map(|i| inserted_text(&after, &mend, i)).collect();
        // The instruction that these replace, if they replace one.
        let behind = was.get(end).copied().flatten();
        let replaced = mend.edits.iter().find_map(|e| match e {
            Edit::Replace(slot, code) if code.len() == end - at && behind.is_none_or(|b| b > *slot) => {
                let previous = was[..at].iter().rev().find_map(|w| *w);
                previous.is_none_or(|p| p < *slot).then_some(*slot)
            }
            _ => None,
        });
        let mut edit = InsnEdit { at: 0, removed: Vec::new(), inserted };
        match replaced {
            Some(slot) => {
                let text = case.insn_text(slot);
                match before.get(slot).copied().flatten() {
                    Some(original) => (edit.at, edit.removed) = (original, vec![text]),
                    None => {
                        // What an earlier mend put in.
                        if let Some(earlier) = all.insns.iter_mut().find(|e| e.inserted == [text.as_str()]) {
                            earlier.inserted = edit.inserted;
                            at = end;
                            continue;
                        }
                    }
                }
            }
            None => {
                let next = slots.get(end).copied().flatten();
                let previous = slots[..at].iter().rev().find_map(|s| *s).map(|s| s + 1);
                edit.at = next.or(previous).unwrap_or(0);
            }
        }
        all.insns.push(edit);
        at = end;
    }
    for edit in &mend.edits {
        if let Edit::Replace(slot, code) = edit
            && code.is_empty()
        {
            let at = before.get(*slot).copied().flatten().unwrap_or(*slot);
            all.insns.push(InsnEdit { at, removed: vec![case.insn_text(*slot)], inserted: Vec::new() });
        }
    }
    all.insns.sort_by_key(|e| e.at);
    all.repair.steps.push((mend, ends.to_vec()));
    all
}

/// The text of an instruction that was put in; none for the second half of a wide one.
fn inserted_text(after: &Case<'_>, mend: &Mend, at: usize) -> Option<String> {
    if at.checked_sub(1).is_some_and(|first| after.insn(first).is_ld_imm64()) {
        return None;
    }
    let insn = after.insn(at);
    let text = after.insn_text(at);
    Some(match &mend.scratch {
        Some(scratch) if insn.is_ld_imm64() && insn.src == ebpfkit_isa::opcode::pseudo::MAP_FD => {
            format!("r{} = the map '{}'", insn.dst, scratch.name)
        }
        _ => text,
    })
}

/// What was found, as it is offered.
fn mended(said: SoFar) -> Mended {
    let mut texts = said.texts;
    texts.dedup();
    let suggestion = Suggestion {
        text: texts.join("; and "),
        proved: true,
        source: if said.without_source { Vec::new() } else { said.source },
        insns: said.insns,
    };
    Mended { suggestion, repair: said.repair }
}

/// Remedies that may help, the best first.
fn candidates<'c>(case: &'c Case<'_>) -> impl Iterator<Item = Mend> + use<'c> {
    let kinds: [fn(&Case<'_>) -> Vec<Mend>; 7] = [
        pointers::candidates,
        bounds::candidates,
        release::candidates,
        calls::candidates,
        other::candidates,
        ctx::candidates,
        scratch::candidates,
    ];
    kinds.into_iter().flat_map(move |candidates| candidates(case))
}

/// What a mend may use at a step: registers that nothing reads later, and stack below what the function uses.
pub(crate) struct Around<'c, 'a> {
    case: &'c Case<'a>,
    pub(crate) step: usize,
}

impl<'c, 'a> Around<'c, 'a> {
    pub(crate) fn new(case: &'c Case<'a>, step: usize) -> Self {
        Self { case, step }
    }

    /// Registers whose values matter at the step.
    pub(crate) fn live(&self) -> RegSet {
        let step = &self.case.trace.steps[self.step];
        RegSet::from_bits(step.live).union(self.case.insn(step.insn).reads())
    }

    /// Registers that can be used freely: those of a call first.
    pub(crate) fn free(&self, not: RegSet) -> Vec<u8> {
        let taken = self.live().union(not);
        (0..10).filter(|&r| !taken.contains(r)).collect()
    }

    /// Bytes of stack that the function uses, as far as its code shows.
    pub(crate) fn stack_used(&self) -> usize {
        stack_used(self.case, self.case.trace.steps[self.step].insn)
    }

    /// Where a value of a kind is at the step.
    pub(crate) fn find(&self, predicate: impl Fn(&RegState) -> bool) -> Option<Location> {
        let frame = self.case.trace.frame(self.step)?;
        let in_reg = (0..10u8).find(|&r| predicate(&frame.regs[usize::from(r)])).map(Location::Reg);
        in_reg.or_else(|| {
            let slot = frame.stack.slots.iter().position(|s| s.is_spill() && predicate(&s.spilled))?;
            Some(Location::Slot(-8 * (slot as i64 + 1)))
        })
    }

    /// Code that brings a value into a register, and the register: the one that it is in, or `scratch`.
    pub(crate) fn fetch(&self, location: Location, scratch: u8) -> (Vec<Insn>, u8) {
        match location {
            Location::Reg(r) => (Vec::new(), r),
            Location::Slot(off) => (vec![code::load(scratch, 10, off as i16)], scratch),
        }
    }

    /// Code that leaves the function at the step.
    pub(crate) fn leave(&self) -> Option<Vec<Insn>> {
        self.leave_without(0)
    }

    /// The same where the reference with this identity is none, because its pointer is NULL.
    pub(crate) fn leave_without(&self, reference: u32) -> Option<Vec<Insn>> {
        let first = release::all(self.case, self.step, reference)?;
        Some(code::leave(exit_value(self.case, self.step), &first))
    }
}

/// The number of a slot's index; for tests of slots in frames.
pub(crate) fn slot_state<'t>(case: &'t Case<'_>, step: usize, off: i64) -> Option<&'t RegState> {
    let slot = case.trace.frame(step)?.stack.slots.get(slot_index(off)?)?;
    slot.is_spill().then_some(&slot.spilled)
}

/// Whether a register holds nothing.
pub(crate) fn is_unset(r: &RegState) -> bool {
    r.ty == RegType::NOT_INIT
}

/// Plain instructions as code.
pub(crate) fn plain(insns: Vec<Insn>) -> Vec<New> {
    code::new(insns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Sources, Texts};

    const PROGRAM: &str = "
        .map counts hash key=u32 value=u64 max_entries=2
        .section xdp
        .func f
          *(u32 *)(r10 - 4) = 0
          r1 = counts ll
          r2 = r10
          r2 += -4
          call bpf_map_lookup_elem
          r0 = *(u64 *)(r0 + 0)
          r0 &= 1
          exit";

    /// What comes of a search that may walk so many instructions, none of them beyond that.
    fn mended(fuel: u64) -> (Option<Mended>, u64) {
        let object = ebpfkit_asm::assemble_object("f.s", PROGRAM).expect("assembles");
        let kernel = &KernelModel::standard();
        let program = &object.programs[0];
        let mut recorder = Recorder::default();
        let report = check_program(kernel, &object, program, Options::default(), &mut recorder);
        let Verdict::Rejected(rejection) = report.verdict else { panic!("rejected: {:?}", report.verdict) };
        let trace = recorder.into_trace().expect("a path");
        let sources = Sources::none();
        let texts = Texts::new(&sources, program, None);
        let case = Case { kernel, object: &object, program, rejection: &rejection, trace: &trace, texts: &texts };
        let mut prover = Prover { first: (0, 0), ..Prover::new(Options::default(), TRIES, fuel) };
        (prover.mend(&case).pop(), prover.fuel)
    }

    #[test]
    fn all_of_the_fuel_may_be_spent() {
        let (found, left) = mended(1000);
        assert!(found.is_some());
        let spent = 1000 - left;
        let (found, left) = mended(spent);
        assert!(found.is_some());
        assert_eq!(left, 0);
        assert!(mended(spent - 1).0.is_none());
        assert!(mended(0).0.is_none());
    }
}
