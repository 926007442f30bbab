//! The graph of control flow inside functions: postorder, strongly connected components.

use crate::reason::{ProgramReason, reject};
use crate::{Env, Step};
use ebpfkit_abi::Feature;

impl Env<'_> {
    /// Lists the reachable instructions of each function so that successors come before their predecessors, as far
    /// as loops allow; analyses that go backwards converge quickly in this order.
    pub(super) fn compute_postorder(&mut self) {
        let len = self.insns().len();
        let mut seen = vec![false; len];
        let mut order = Vec::with_capacity(len);
        let mut path = Vec::new();
        for s in 0..self.subprogs.len() - 1 {
            let first = order.len();
            let start = self.subprogs[s].start;
            seen[start] = true;
            // Each instruction with whether those after it are already on their way. The jump's target is taken
            // before the next slot, and both are claimed at once: the kernel's order, which its log shows.
            path.push((start, false));
            while let Some((at, explored)) = path.last_mut() {
                let at = *at;
                if std::mem::replace(explored, true) {
                    order.push(at);
                    path.pop();
                    continue;
                }
                for next in self.successors(at) {
                    if !std::mem::replace(&mut seen[next], true) {
                        path.push((next, false));
                    }
                }
            }
            self.subprogs[s].postorder = (first, order.len());
        }
        self.postorder = order;
    }

    /// Lists the functions so that each comes behind those that it calls, in kernels that ask for that. There a function
    /// that calls itself, directly or through others, is refused.
    pub(super) fn order_functions(&self) -> Step<Vec<usize>> {
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Visit {
            Never,
            Open,
            Done,
        }
        let refuses = self.has(Feature::RecursionFoundFirst);
        let mut order = Vec::new();
        if !refuses && !self.has(Feature::StackLivenessFirst) {
            return Ok(order);
        }
        let functions = self.subprogs.len() - 1;
        let mut visits = vec![Visit::Never; functions];
        for root in 0..functions {
            if visits[root] != Visit::Never {
                continue;
            }
            visits[root] = Visit::Open;
            // Each function with the position in its postorder from which calls are still to be looked at.
            let mut path = vec![(root, self.subprogs[root].postorder.0)];
            while let Some((caller, at)) = path.last_mut() {
                let (caller, from) = (*caller, *at);
                if from == self.subprogs[caller].postorder.1 {
                    visits[caller] = Visit::Done;
                    order.push(caller);
                    path.pop();
                    continue;
                }
                *at += 1;
                let slot = self.postorder[from];
                let target = self.insns()[slot].function(slot).and_then(|t| usize::try_from(t).ok());
                let Some(callee) = target.and_then(|t| self.find_subprog(t)) else { continue };
                match visits[callee] {
                    Visit::Open if refuses && self.insns()[slot].is_local_call() => {
                        let name = |s: usize| self.subprogs[s].name.clone();
                        return reject(ProgramReason::RecursiveCall { from: name(caller), to: name(callee) });
                    }
                    Visit::Never => {
                        visits[callee] = Visit::Open;
                        path.push((callee, self.subprogs[callee].postorder.0));
                    }
                    Visit::Open | Visit::Done => {}
                }
            }
        }
        Ok(order)
    }

    /// Numbers the loops: strongly connected components of more than one instruction, or of one that jumps to itself
    /// (Tarjan's algorithm).
    pub(super) fn compute_scc(&mut self) {
        const UNSEEN: u32 = 0;
        let n = self.insns().len();
        let env = &*self;
        let successors = |at: usize| env.successors(at);
        let mut found: Vec<(usize, u32)> = Vec::new();
        let (mut index, mut low, mut on_stack) = (vec![UNSEEN; n], vec![0u32; n], vec![false; n]);
        let (mut next_index, mut next_scc) = (1, 1);
        let mut stack = Vec::new();
        for root in 0..n {
            if index[root] != UNSEEN || !env.is_insn_start(root) {
                continue;
            }
            let mut path = vec![(root, successors(root))];
            while let Some((at, rest)) = path.last_mut() {
                let at = *at;
                if index[at] == UNSEEN {
                    (index[at], low[at]) = (next_index, next_index);
                    next_index += 1;
                    on_stack[at] = true;
                    stack.push(at);
                }
                if let Some(next) = rest.next() {
                    if index[next] == UNSEEN {
                        path.push((next, successors(next)));
                    } else if on_stack[next] {
                        low[at] = low[at].min(index[next]);
                    }
                    continue;
                }
                path.pop();
                if let Some((parent, _)) = path.last() {
                    low[*parent] = low[*parent].min(low[at]);
                }
                if low[at] == index[at] {
                    let from = stack.iter().rposition(|&m| m == at).unwrap_or(0);
                    let is_loop = stack.len() - from > 1 || successors(at).any(|s| s == at);
                    for m in stack.drain(from..) {
                        on_stack[m] = false;
                        if is_loop {
                            found.push((m, next_scc));
                        }
                    }
                    next_scc += u32::from(is_loop);
                }
            }
        }
        for (at, scc) in found {
            self.aux[at].scc = scc;
        }
    }

    /// Whether a slot is the first of an instruction rather than the second half of a 64-bit immediate.
    pub(super) fn is_insn_start(&self, at: usize) -> bool {
        at == 0 || !(self.insns()[at].code == 0 && self.insns()[at - 1].is_ld_imm64())
    }
}
