//! Control flow: every instruction is reachable, and the places where paths meet are marked.

use crate::reason::ProgramReason;
use crate::{Env, Step, reason::reject};
use ebpfkit_abi::{Feature, MapType};
use ebpfkit_isa::opcode;

/// Instructions of a path that there is memory for from the start.
const USUAL_PATH: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Discovery {
    Unseen,
    /// On the current path.
    Discovered,
    Explored,
}

/// One way out of an instruction.
#[derive(Clone, Copy)]
struct Edge {
    to: i64,
    /// A jump or call rather than the next instruction: its target is a place where paths meet.
    is_branch: bool,
    /// A loop may close here, in kernels that take it for none where no jump closes it.
    may_loop: bool,
}

impl Env<'_> {
    fn mark_prune_point(&mut self, at: i64) {
        if let Some(aux) = usize::try_from(at).ok().and_then(|i| self.aux.get_mut(i)) {
            aux.prune_point = true;
            aux.jmp_point = true;
        }
    }

    /// Visits everything that can run, notes prune points, and rejects what cannot run. Whether control may come to an
    /// instruction again: without, the program has no loops.
    pub(super) fn check_cfg(&mut self) -> Step<bool> {
        let mut discovery = vec![Discovery::Unseen; self.insns().len()];
        let mut returns = self.visit_from(0, &mut discovery)?;
        let exception = self.exception_callback;
        if exception != 0 {
            returns |= self.visit_from(self.subprogs[exception].start, &mut discovery)?;
        }
        let mut at = 0;
        while at < self.insns().len() {
            if discovery[at] != Discovery::Explored {
                return reject(ProgramReason::UnreachableInsn { insn: at });
            }
            if self.insns()[at].is_ld_imm64() {
                at += 1;
                if discovery.get(at).is_some_and(|&m| m != Discovery::Unseen) {
                    return reject(ProgramReason::JumpIntoImm64 { insn: at - 1 });
                }
            }
            at += 1;
        }
        Ok(returns)
    }

    /// Visits what can be reached from an instruction; whether a way leads back.
    fn visit_from(&mut self, start: usize, discovery: &mut [Discovery]) -> Step<bool> {
        discovery[start] = Discovery::Discovered;
        let mut returns = false;
        let mut path = Vec::with_capacity(discovery.len().min(USUAL_PATH));
        path.push((start, self.edges(start)?));
        // Of the indirect jumps on the path, where each may lead besides.
        let mut tables = Vec::new();
        if self.insns()[start].is_indirect_jump() {
            tables.push(self.jumps_of(start)?);
        }
        while let Some((at, edges)) = path.last_mut() {
            let at = *at;
            let mut edge = edges.iter_mut().find_map(Option::take);
            let is_indirect = self.insns()[at].is_indirect_jump();
            if edge.is_none() && is_indirect {
                let to = tables.last_mut().and_then(Iterator::next);
                edge = to.map(|to: usize| Edge { to: to as i64, is_branch: false, may_loop: true });
            }
            let Some(edge) = edge else {
                if is_indirect {
                    tables.pop();
                }
                discovery[at] = Discovery::Explored;
                path.pop();
                // What a callee does, its caller does.
                if let Some(&(caller, _)) = path.last()
                    && self.insns()[caller].is_local_call()
                {
                    self.merge_effects(caller);
                }
                continue;
            };
            let Some(to) = usize::try_from(edge.to).ok().filter(|&t| t < self.insns().len()) else {
                return reject(ProgramReason::JumpOutOfRange { insn: at, target: edge.to });
            };
            if edge.is_branch {
                self.mark_prune_point(edge.to);
            }
            match discovery[to] {
                Discovery::Unseen => {
                    discovery[to] = Discovery::Discovered;
                    let edges = self.edges(to)?;
                    path.push((to, edges));
                    if self.insns()[to].is_indirect_jump() {
                        tables.push(self.jumps_of(to)?);
                    }
                }
                Discovery::Discovered
                    if !self.bpf_capable() || !edge.may_loop && !self.has(Feature::LoopsByAnyEdge) =>
                {
                    return reject(ProgramReason::BackEdge { from: at, to });
                }
                Discovery::Discovered => returns = true,
                Discovery::Explored => {}
            }
        }
        Ok(returns)
    }

    /// The ways out of an instruction in the order they are followed; notes prune points on the way.
    fn edges(&mut self, at: usize) -> Step<[Option<Edge>; 2]> {
        let insn = self.insns()[at];
        let successors = insn.successors(at);
        let next = successors.fallthrough.map(|to| Edge { to: to as i64, is_branch: false, may_loop: false });
        if insn.is_call() {
            self.mark_call(at);
        }
        if insn.is_local_call() {
            // The callee may have been visited already, for another caller.
            self.merge_effects(at);
        }
        Ok(match (next, successors.jump) {
            (Some(next), None) if insn.is_call() || insn.is_func_address() => {
                self.call_edges(at, next, insn.function(at))
            }
            (None, None) if insn.is_src_reg() && !insn.is_call() && !self.has(Feature::IndirectJumps) => {
                return reject(ProgramReason::UnknownOpcode { code: insn.code });
            }
            (next, None) => [next, None],
            (None, Some(target)) => {
                self.mark_prune_point(target);
                [Some(Edge { to: target, is_branch: false, may_loop: true }), None]
            }
            (Some(next), Some(target)) => {
                self.aux[at].prune_point = true;
                if insn.code == opcode::MAY_GOTO {
                    self.aux[at].force_checkpoint = true;
                }
                let jump = Edge { to: target, is_branch: true, may_loop: true };
                [Some(Edge { may_loop: true, ..next }), Some(jump)]
            }
        })
    }

    /// Where an indirect jump may lead: the entries of all tables that lead into its function; notes it.
    fn jumps_of(&mut self, at: usize) -> Step<std::vec::IntoIter<usize>> {
        let subprog = self.subprog_at(at);
        let (start, end) = (self.subprogs[subprog].start, self.subprog_end(subprog));
        let tables = self.maps.iter().filter(|m| m.def.map_type == MapType::InsnArray && m.def.max_entries != 0);
        let tables = tables.map(|m| m.jumps(0, m.def.max_entries as usize - 1));
        let mut all: Vec<usize> = tables.filter(|t| (start..end).contains(&t[0])).flatten().collect();
        if all.is_empty() {
            return reject(ProgramReason::NoJumpTable { start });
        }
        all.sort_unstable();
        all.dedup();
        if !all.iter().all(|t| (start..end).contains(t)) {
            return reject(ProgramReason::JumpTableOutside { insn: at, start, end });
        }
        self.aux[at].prune_point = true;
        self.aux[at].jmp_point = true;
        for &to in &all {
            self.aux[to].jmp_point = true;
        }
        self.jump_tables.insert(at, all.clone().into());
        Ok(all.into_iter())
    }

    /// After a call control comes back by another way than it went, so the next instruction is a prune point.
    fn call_edges(&mut self, at: usize, next: Edge, callee: Option<i64>) -> [Option<Edge>; 2] {
        self.mark_prune_point(next.to);
        match callee {
            Some(to) => {
                self.aux[at].prune_point = true;
                let may_loop = self.insns()[at].is_func_address();
                [Some(next), Some(Edge { to, is_branch: true, may_loop })]
            }
            None => [Some(next), None],
        }
    }

    fn mark_call(&mut self, at: usize) {
        let insn = self.insns()[at];
        let subprog = self.subprog_at(at);
        if self.is_callback_call(insn) {
            let aux = &mut self.aux[at];
            (aux.calls_callback, aux.force_checkpoint) = (true, true);
            (aux.prune_point, aux.jmp_point) = (true, true);
        }
        if self.is_async_callback_call(insn) {
            self.aux[at].prune_point = true;
        }
        if insn.is_kfunc_call() && self.is_iter_next(insn) {
            self.aux[at].prune_point = true;
            self.aux[at].force_checkpoint = true;
        }
        let effects = self.call_effects(insn);
        self.subprogs[subprog].changes_pkt_data |= effects.changes_pkt_data;
        self.subprogs[subprog].might_sleep |= effects.might_sleep;
        self.subprogs[subprog].might_throw |= effects.might_throw;
    }

    /// A caller does what the function it calls does.
    fn merge_effects(&mut self, caller: usize) {
        let target = self.insns()[caller].function(caller).and_then(|t| usize::try_from(t).ok());
        let callee = target.and_then(|t| self.find_subprog(t));
        let Some(callee) = callee else { return };
        let (pkt, sleep) = (self.subprogs[callee].changes_pkt_data, self.subprogs[callee].might_sleep);
        let throw = self.subprogs[callee].might_throw;
        let own = self.subprog_at(caller);
        self.subprogs[own].changes_pkt_data |= pkt;
        self.subprogs[own].might_sleep |= sleep;
        self.subprogs[own].might_throw |= throw;
    }
}
