//! Counts what the verifier does, as an observer.

use super::{DifferenceWork, Effort, FunctionWork, LineWork, LoopWork, SourceLine, Work, loops};
use crate::functions;
use crate::source::line_of;
use ebpfkit_object::{Object, Program};
use ebpfkit_verifier::observer::{Difference, Part};
use ebpfkit_verifier::reason::ExploreReason;
use ebpfkit_verifier::{Event, Observer, Reason, VerifierState};
use std::collections::{BTreeMap, HashMap};

/// Lines named for which a value matters.
const MOST_NEEDED_BY: usize = 3;
/// A fork is worth a word in advice from this share of all on.
const LARGE_SHARE: u64 = 4;

/// Counts what the verifier does.
#[derive(Default)]
pub struct Recorder {
    /// By slot.
    work: Vec<Work>,
    most_pending: usize,
    differences: HashMap<(usize, usize, Part), Compared>,
    /// The instructions for which a part has to agree, by where the state was kept.
    needed_by: HashMap<(usize, usize, Part), BTreeMap<usize, u64>>,
    /// Chains of calls, by slots of the calls; each with a slot of the last function and the instructions processed in it.
    chains: HashMap<Vec<usize>, (usize, u64)>,
    /// The chain that is open, a slot of its last function, and what is not yet in its count.
    chain: Vec<usize>,
    chain_slot: usize,
    chain_processed: u64,
}

struct Compared {
    times: u64,
    difference: Difference,
}

/// The key of a part, by which its differences are counted.
fn key(insn: usize, difference: &Difference) -> (usize, usize, Part) {
    (insn, difference.frame, difference.part)
}

impl Observer for Recorder {
    fn wants_events(&self) -> bool {
        true
    }

    fn wants_comparisons(&self) -> bool {
        true
    }

    fn wants_values(&self, insn: usize, difference: &Difference) -> bool {
        !self.differences.contains_key(&key(insn, difference))
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Before { insn, state, .. } => {
                self.at(insn).processed += 1;
                self.enter(insn, state);
            }
            Event::Pushed { from, pending } => {
                self.at(from).forks += 1;
                self.most_pending = self.most_pending.max(pending);
            }
            Event::Saved { insn } => self.at(insn).states += 1,
            Event::Pruned { insn } => {
                let work = self.at(insn);
                work.pruned += 1;
                // The kernel counts the instruction at which the path ends.
                work.processed += 1;
            }
            Event::Compared { insn, difference } => {
                self.at(insn).in_vain += 1;
                let new = || Compared { times: 0, difference: difference.clone() };
                self.differences.entry(key(insn, &difference)).or_insert_with(new).times += 1;
            }
            Event::Precise { insn, by, frame, regs, slots } => {
                let regs = (0..11u8).filter(|r| regs >> r & 1 != 0).map(Part::Reg);
                let slots = (0..64i32).filter(|s| slots >> s & 1 != 0).map(|s| Part::Stack(-8 * (s + 1)));
                for part in regs.chain(slots) {
                    *self.needed_by.entry((insn, frame, part)).or_default().entry(by).or_default() += 1;
                }
            }
            _ => {}
        }
    }
}

impl Recorder {
    fn at(&mut self, insn: usize) -> &mut Work {
        if insn >= self.work.len() {
            self.work.resize(insn + 1, Work::default());
        }
        &mut self.work[insn]
    }

    /// Counts an instruction for the chain of calls that it is processed in.
    fn enter(&mut self, insn: usize, state: &VerifierState) {
        let chain = state.frames.iter().skip(1).map(|f| usize::try_from(f.callsite).unwrap_or(0));
        if !chain.clone().eq(self.chain.iter().copied()) {
            let chain = chain.collect();
            self.leave();
            (self.chain, self.chain_slot) = (chain, insn);
        }
        self.chain_processed += 1;
    }

    /// Adds what the open chain has taken to its count.
    fn leave(&mut self) {
        let entry = self.chains.entry(std::mem::take(&mut self.chain)).or_insert((self.chain_slot, 0));
        entry.1 += std::mem::take(&mut self.chain_processed);
    }

    /// What the verification of `program` has taken. `rejection` is the reason for which it ended, if it did.
    pub fn effort(mut self, object: &Object, program: &Program, rejection: Option<&Reason>) -> Effort {
        self.leave();
        self.work.resize(program.insns.len().max(self.work.len()), Work::default());
        let source = |slot: usize| {
            let line = object.btf.as_deref().and_then(|btf| line_of(program, btf, slot));
            line.map_or_else(
                || SourceLine { line: slot as u32, ..SourceLine::default() },
                |l| SourceLine { file: l.file, line: l.line, text: l.text.trim().to_owned() },
            )
        };
        let names = functions::functions(object, program);
        let mut effort =
            Effort { program: program.name.clone(), most_pending: self.most_pending as u64, ..Effort::default() };
        let mut lines: BTreeMap<(String, SourceLine), Work> = BTreeMap::new();
        for (n, (start, name)) in names.iter().enumerate() {
            let end = names.get(n + 1).map_or(program.insns.len(), |next| next.0);
            let mut whole = Work::default();
            for slot in (*start..end).filter(|s| self.work[*s] != Work::default()) {
                whole.add(&self.work[slot]);
                lines.entry((name.clone(), source(slot))).or_default().add(&self.work[slot]);
            }
            effort.total.add(&whole);
            effort.functions.push(FunctionWork { name: name.clone(), insns: end - start, work: whole });
        }
        let line = |((function, source), work)| LineWork { source, function, work };
        effort.lines = lines.into_iter().map(line).collect();
        effort.loops = loops::loops(&program.insns)
            .into_iter()
            .map(|l| {
                let mut work = Work::default();
                l.body.iter().for_each(|slot| work.add(&self.work[*slot]));
                let iterations = self.work[l.header].processed;
                LoopWork { source: source(l.header), insn: l.header, insns: l.body.len(), iterations, work }
            })
            .filter(|l| l.iterations > 0)
            .collect();
        effort.differences = self.differences(&source);
        effort.stacks = self.stacks(&names);
        effort.functions.sort_by_key(|f| std::cmp::Reverse(f.work.processed));
        effort.lines.sort_by_key(|l| std::cmp::Reverse(l.work.processed));
        effort.loops.sort_by_key(|l| std::cmp::Reverse(l.work.processed));
        effort.advice = rejection.map(|reason| advice(&effort, reason)).unwrap_or_default();
        effort
    }

    fn differences(&mut self, source: &dyn Fn(usize) -> SourceLine) -> Vec<DifferenceWork> {
        let mut all: Vec<DifferenceWork> = Vec::new();
        for ((insn, frame, part), compared) in self.differences.drain() {
            let mut needed: Vec<_> = self.needed_by.get(&(insn, frame, part)).into_iter().flatten().collect();
            needed.sort_by_key(|n| std::cmp::Reverse(n.1));
            let mut needed_by: Vec<SourceLine> = Vec::new();
            for found in needed.into_iter().map(|n| source(*n.0)) {
                if needed_by.len() < MOST_NEEDED_BY && !needed_by.contains(&found) {
                    needed_by.push(found);
                }
            }
            let difference = compared.difference;
            all.push(DifferenceWork {
                source: source(insn),
                insn,
                part: part_name(frame, part),
                times: compared.times,
                old: difference.old,
                new: difference.new,
                needed_by,
            });
        }
        all.sort_by(|a, b| (b.times, a.insn, &a.part).cmp(&(a.times, b.insn, &b.part)));
        all
    }

    fn stacks(&self, names: &[(usize, String)]) -> Vec<(String, u64)> {
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for (chain, (slot, processed)) in self.chains.iter().filter(|c| c.1.1 > 0) {
            // Each call stands in the function that makes it.
            let slots = chain.iter().chain([slot]);
            let stack: Vec<String> = slots.map(|s| functions::at(names, *s).replace([' ', ';'], "_")).collect();
            *all.entry(stack.join(";")).or_default() += processed;
        }
        all.into_iter().collect()
    }
}

fn part_name(frame: usize, part: Part) -> String {
    let name = match part {
        Part::Reg(n) => format!("R{n}"),
        Part::Stack(offset) => format!("fp{offset}"),
        Part::Resources => return "references, locks and regions".into(),
        Part::Calls => return "open calls".into(),
        _ => return "links between values".into(),
    };
    if frame == 0 { name } else { format!("{name} of frame {frame}") }
}

/// What to change about a program that is too much for the verifier.
fn advice(effort: &Effort, reason: &Reason) -> Vec<String> {
    let Reason::Explore(ExploreReason::TooLarge { .. } | ExploreReason::TooManyBranches { .. }) = reason else {
        return Vec::new();
    };
    let mut advice = Vec::new();
    // Inner loops multiply what outer ones cost: the one that takes most by itself is the smallest of those near the top.
    let most = effort.loops.first().map_or(0, |l| l.work.processed);
    let inner = effort.loops.iter().filter(|l| l.work.processed * 2 > most).min_by_key(|l| l.insns);
    match inner.filter(|l| l.work.processed * 2 > effort.total.processed) {
        Some(l) => advice.push(format!(
            "the loop at {} ({}) takes {} of {} instructions: its {} instructions were walked {} times. Let the verifier \
             walk its body once: bpf_loop(), bpf_for() or `may_goto`, or move the body to a global function (not static)",
            l.source, l.source.text, l.work.processed, effort.total.processed, l.insns, l.iterations
        )),
        None => advice.push(
            "no single loop takes most of it: split the program by tail calls, or move parts of it to global functions \
             (not static), which are verified once"
                .to_owned(),
        ),
    }
    if let Some(fork) = effort.lines.iter().max_by_key(|l| l.work.forks)
        && fork.work.forks * LARGE_SHARE > effort.total.forks
    {
        advice.push(format!(
            "{} of {} ways that had to be walked later begin at {} ({}): each doubles what follows unless states agree \
             again",
            fork.work.forks, effort.total.forks, fork.source, fork.source.text
        ));
    }
    if let Some(d) = effort.differences.first().filter(|d| d.times * LARGE_SHARE > effort.total.in_vain) {
        let why = match &d.needed_by[..] {
            [] => String::new(),
            sources => {
                let sources: Vec<String> = sources.iter().map(|p| format!("{p} ({})", p.text)).collect();
                format!(", whose exact value matters at {}", sources.join(", "))
            }
        };
        advice.push(format!(
            "paths that meet at {} ({}) do not end because of {}{why}: one state has {}, the other {}",
            d.source, d.source.text, d.part, d.old, d.new
        ));
    }
    advice
}
