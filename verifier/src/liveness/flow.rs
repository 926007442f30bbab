//! Propagation of marks against the flow, until nothing changes.
//!
//! Instructions are visited in postorder, round after round. Only those whose own marks or whose successors' masks
//! have changed are computed again, which gives the same masks as computing all.

use super::{Instance, Liveness, Masks};
use crate::program::SubprogInfo;
use crate::state::SlotList;
use ebpfkit_isa::Insn;
use std::fmt::Write;

/// A set of positions in a postorder.
#[derive(Clone, Debug, Default)]
pub(super) struct Dirty {
    words: Vec<u64>,
    any: bool,
}

impl Dirty {
    fn add(&mut self, position: usize) {
        let word = position / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (position % 64);
        self.any = true;
    }

    /// Takes the first position at or after `from`.
    fn take_from(&mut self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut mask = !0u64 << (from % 64);
        while word < self.words.len() {
            let hit = self.words[word] & mask;
            if hit != 0 {
                let bit = hit.trailing_zeros() as usize;
                self.words[word] &= !(1 << bit);
                return Some(word * 64 + bit);
            }
            word += 1;
            mask = !0;
        }
        None
    }
}

/// Edges of the control-flow graphs of all functions, and where each instruction stands in its postorder.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// By instruction: up to two successors; `NONE` for none.
    next: Vec<[u32; 2]>,
    /// By instruction: range in `sources`.
    first_source: Vec<u32>,
    sources: Vec<u32>,
    /// By instruction: index in the list of all postorders; `NONE` when unreachable.
    position: Vec<u32>,
    /// By instruction: control may leave the function here, besides going on.
    leaves: Vec<bool>,
}

const NONE: u32 = u32::MAX;

/// Changes as the kernel's log shows them: at instructions that use the stack, at starts and at prune points.
pub(super) struct Log<'a> {
    pub(super) lines: String,
    /// Whether an instruction is a prune point.
    pub(super) meets: &'a dyn Fn(usize) -> bool,
}

impl Log<'_> {
    fn change(&mut self, location: &str, what: &str, old: u64, new: u64) {
        let (on, off) = (new & !old, old & !new);
        if on | off == 0 {
            return;
        }
        let _ = write!(self.lines, "{location} ");
        if on != 0 {
            let _ = write!(self.lines, "+{what} {} ", SlotList(on));
        }
        if off != 0 {
            let _ = write!(self.lines, "-{what} {}", SlotList(off));
        }
        self.lines.push('\n');
    }
}

impl Graph {
    pub(super) fn new(insns: &[Insn], postorder: &[usize], leaves: &dyn Fn(usize) -> bool) -> Self {
        let n = insns.len();
        let mut next = vec![[NONE; 2]; n];
        let mut position = vec![NONE; n];
        let mut count = vec![0u32; n + 1];
        for (i, &at) in postorder.iter().enumerate() {
            position[at] = i as u32;
            for (slot, s) in next[at].iter_mut().zip(insns[at].successors(at).within(n)) {
                *slot = s as u32;
                count[s + 1] += 1;
            }
        }
        for i in 0..n {
            count[i + 1] += count[i];
        }
        let mut fill = count.clone();
        let mut sources = vec![0u32; count[n] as usize];
        for &at in postorder {
            for &s in next[at].iter().filter(|&&s| s != NONE) {
                sources[fill[s as usize] as usize] = at as u32;
                fill[s as usize] += 1;
            }
        }
        Self { next, first_source: count, sources, position, leaves: (0..n).map(leaves).collect() }
    }

    fn sources(&self, at: usize) -> &[u32] {
        &self.sources[self.first_source[at] as usize..self.first_source[at + 1] as usize]
    }
}

impl Liveness {
    /// The marks of an instruction have changed.
    pub(super) fn touch(&mut self, instance: usize, frame: usize, insn: usize) {
        let position = self.graph.position[insn];
        let i = &mut self.instances[instance];
        i.updated = true;
        if position != NONE {
            i.dirty[frame].add(position as usize);
        }
    }

    /// Brings the masks of an instance up to date and hands them to its caller's.
    ///
    /// `log` receives a line for each change that the kernel's log shows.
    pub(super) fn propagate(
        &mut self,
        instance: usize,
        subprogs: &[SubprogInfo],
        postorder: &[usize],
        mut log: Option<&mut Log<'_>>,
    ) {
        if !std::mem::take(&mut self.instances[instance].updated) {
            return;
        }
        let chain = if log.is_some() { self.chain(instance) } else { String::new() };
        self.forget_what_is_written_later(instance);
        let (first, last) = subprogs[self.instances[instance].subprog].postorder;
        let frames = 0..=self.instances[instance].frame;
        for iteration in 1.. {
            let mut changed = false;
            for frame in frames.clone() {
                let log = log.as_deref_mut().map(|log| (log, &*chain));
                changed |= self.propagate_once(instance, frame, &postorder[..last], first, log);
            }
            if !changed {
                if let Some(log) = log {
                    let _ = writeln!(log.lines, "({chain}) live stack update done in {iteration} iterations");
                }
                break;
            }
        }
        let Instance { outer, frame: own, .. } = self.instances[instance];
        let Some((outer, callsite)) = outer else { return };
        self.forget_writes();
        for frame in 0..own {
            let Some(masks) = &self.instances[instance].masks[frame] else { continue };
            let entry = masks[0];
            self.writes[frame] |= entry.written_later;
            self.wrote |= entry.written_later != 0;
            self.read(outer, frame, callsite, entry.live_before);
        }
        self.commit(outer, callsite);
        self.forget_writes();
    }

    /// Call sites that lead to an instance, then where it starts.
    fn chain(&self, instance: usize) -> String {
        let mut sites = vec![self.instances[instance].start];
        let mut at = instance;
        while let Some((outer, callsite)) = self.instances[at].outer {
            sites.push(callsite);
            at = outer;
        }
        let sites: Vec<String> = sites.iter().rev().map(usize::to_string).collect();
        sites.join(",")
    }

    /// Where instructions write less than before, what is written later may only shrink: it starts from nothing.
    fn forget_what_is_written_later(&mut self, instance: usize) {
        let i = &mut self.instances[instance];
        if !std::mem::take(&mut i.writes_less) {
            return;
        }
        for (masks, dirty) in i.masks.iter_mut().zip(&mut i.dirty) {
            for (at, m) in masks.iter_mut().flat_map(|m| m.iter_mut()).enumerate() {
                let position = self.graph.position[i.start + at];
                if std::mem::take(&mut m.written_later) != 0 && position != NONE {
                    dirty.add(position as usize);
                }
            }
        }
    }

    /// One round over a function, for the slots of one frame; whether anything changed.
    fn propagate_once(
        &mut self,
        instance: usize,
        frame: usize,
        postorder: &[usize],
        first: usize,
        mut log: Option<(&mut Log<'_>, &str)>,
    ) -> bool {
        let Self { instances, graph, .. } = self;
        let i = &mut instances[instance];
        let start = i.start;
        let (Some(masks), dirty) = (&mut i.masks[frame], &mut i.dirty[frame]) else { return false };
        let (mut changed, mut from) = (false, first);
        if !std::mem::take(&mut dirty.any) {
            return false;
        }
        while let Some(position) = dirty.take_from(from) {
            from = position + 1;
            let Some(&at) = postorder.get(position) else { break };
            let new = computed(masks, graph, at, start);
            let old = &mut masks[at - start];
            if new.live_before == old.live_before && new.written_later == old.written_later {
                continue;
            }
            if let Some((log, chain)) = &mut log
                && (new.may_read != 0 || new.must_write != 0 || at == start || (log.meets)(at))
            {
                let location = format!("({chain}) frame {frame} insn {at}");
                log.change(&location, "live", old.live_before, new.live_before);
                log.change(&location, "written", old.written_later, new.written_later);
            }
            *old = new;
            changed = true;
            // Positions behind this round's place are left for the next round.
            for &source in graph.sources(at) {
                dirty.add(graph.position[source as usize] as usize);
            }
        }
        changed
    }
}

fn computed(masks: &[Masks], graph: &Graph, at: usize, start: usize) -> Masks {
    let own = masks[at - start];
    let next = graph.next[at];
    if next[0] == NONE {
        return own;
    }
    let (mut live, mut written) = (0, u64::MAX);
    for &s in next.iter().filter(|&&s| s != NONE) {
        let s = masks[s as usize - start];
        live |= s.live_before;
        written &= s.written_later;
    }
    if graph.leaves[at] {
        written = 0;
    }
    Masks { live_before: live & !own.must_write | own.may_read, written_later: written | own.must_write, ..own }
}
