//! Limits: instructions, branches, loops, stack, depth of calls.

use crate::case::{Case, Draft};
use crate::diagnosis::{Blame, Span};
use crate::origin::{How, Location};
use crate::words;
use ebpfkit_isa::STACK_SIZE;
use ebpfkit_isa::opcode;
use ebpfkit_verifier::RegBase;
use ebpfkit_verifier::reason::{ExploreReason, ProgramReason};
use std::collections::BTreeMap;

/// The jump that closes the loop around the end of the path: the jump, and where the loop begins.
fn closing_jump(case: &Case<'_>) -> Option<(usize, usize)> {
    let steps = &case.trace.steps;
    (1..steps.len()).rev().take(4096).find_map(|s| {
        let (from, to) = (steps[s - 1].insn, steps[s].insn);
        (to <= from
            && steps[s - 1].depth == steps[s].depth
            && case.insn(from).is_jump_class()
            && !case.insn(from).is_call())
        .then_some((from, to))
    })
}

/// The conditional jumps of a loop: what decides whether it goes on.
fn conditions(case: &Case<'_>, head: usize, end: usize) -> Vec<usize> {
    // From where the loop goes around again.
    let mut around = vec![false; end + 1 - head];
    loop {
        let before = around.iter().filter(|a| **a).count();
        for at in (head..=end).rev() {
            let next = case.insn(at).successors(at);
            let goes = next
                .within(case.program.insns.len())
                .any(|n| n == head || (head..=end).contains(&n) && around[n - head]);
            around[at - head] |= goes;
        }
        if around.iter().filter(|a| **a).count() == before {
            break;
        }
    }
    let leaves = |at: &usize| {
        let next = case.insn(*at).successors(*at);
        next.jump.is_some()
            && next.fallthrough.is_some()
            && around[*at - head]
            && next
                .within(case.program.insns.len())
                .any(|n| !(head..=end).contains(&n) || n != head && !around[n - head])
    };
    (head..=end).filter(|at| case.insn(*at).is_jump_class() && !case.insn(*at).is_call()).filter(leaves).collect()
}

fn condition_text(case: &Case<'_>, step: usize, at: usize) -> Option<String> {
    let insn = case.insn(at);
    let state = case.trace.reg(step, insn.dst)?;
    let history = case.history_at(step, Location::Reg(insn.dst));
    let made = history.iter().find(|e| {
        !matches!(
            e.how,
            How::Copied | How::Spilled | How::Filled | How::Bounded | How::Narrow { .. } | How::NullChecked
        )
    })?;
    let from = case.event_insn(made);
    Some(match made.how {
        How::Loaded { base } => {
            let b = case.trace.reg(made.step, base)?;
            format!(
                "what this tests is read from {} at {}: the verifier cannot know when it ends",
                words::memory(case, b),
                case.line_of(from)
            )
        }
        How::Result => {
            format!("what this tests is what {} returns: the verifier cannot know when it ends", case.callee(from)?)
        }
        How::WrittenByCall => {
            format!("what this tests is written by {}: the verifier cannot know when it ends", case.callee(from)?)
        }
        _ => format!("the loop ends when this says so; what it tests is {}", words::value(case, state)),
    })
}

/// A loop that comes back to a state that it was in.
fn endless(case: &Case<'_>, insn: usize) -> Draft {
    let Some((from, head)) = closing_jump(case) else {
        let here = case.insn(insn);
        let to_itself = here.code == opcode::JA && here.off == -1;
        return own_jump(case, insn, to_itself);
    };
    if from == head && case.insn(from).successors(from).fallthrough.is_none() {
        return own_jump(case, from, true);
    }
    let exits = conditions(case, head, from);
    if exits.is_empty() {
        return own_jump(case, from, false);
    }
    let last = case.step().unwrap_or(0);
    // The line of the loop itself, wherever it stands in the code.
    let says_loop = |at: &usize| {
        let text = case.text(*at);
        let text = text.trim_start();
        text.starts_with("while") || text.starts_with("for") || text.starts_with("do")
    };
    let main = (head..=from).find(says_loop).unwrap_or(exits[0]);
    let mut d = Draft::new(
        format!(
            "the loop at {} has no end that the verifier can see: nothing that it follows brings it nearer to one",
            case.line_of(main)
        ),
        "this loop may go on for ever",
    )
    .at(main);
    for at in exits {
        let step = (0..=last).rev().find(|&s| case.trace.steps[s].insn == at);
        if let Some(text) = step.and_then(|s| condition_text(case, s, at)) {
            let span = case.span(at, text);
            d = d.span(span);
        }
    }
    if !case.same_line(from, main) {
        d = d.span(case.span(from, "the loop goes back from here"));
    }
    d.help("give the loop a constant bound: `for (int i = 0; i < 32 && ...; i++)`")
        .help("or use bpf_loop, bpf_for or bpf_repeat, which may run any number of times")
}

/// Whether almost all that was verified is the loop that the path goes around last.
fn all_in_loop(case: &Case<'_>) -> bool {
    let Some((from, head)) = closing_jump(case) else { return false };
    let sum = |counts: &[u32]| counts.iter().map(|c| u64::from(*c)).sum::<u64>();
    let visits = &case.trace.visits;
    let inside = visits.get(head..=from).map_or(0, sum);
    inside * 10 >= sum(visits) * 9 && !nested(case, head, from) && !counted(case)
}

/// Whether a loop that was followed often compares a number that is known with a constant: it counts.
fn counted(case: &Case<'_>) -> bool {
    const OFTEN: u32 = 1000;
    let last = case.step().unwrap_or(0);
    let often = case.trace.visits.iter().enumerate().filter(|(_, n)| **n > OFTEN).map(|(at, _)| at);
    let mut compares = often.filter(|&at| {
        let insn = case.insn(at);
        insn.is_jump_class() && !insn.is_call() && !insn.is_src_reg() && insn.successors(at).jump.is_some()
    });
    compares.any(|at| {
        let step = (0..=last).rev().find(|&s| case.trace.steps[s].insn == at);
        let state = step.and_then(|s| case.trace.reg(s, case.insn(at).dst));
        state.is_some_and(|r| r.is_scalar() && r.var_off.is_const())
    })
}

/// Whether another loop lies inside of one.
fn nested(case: &Case<'_>, head: usize, from: usize) -> bool {
    (head..from).any(|at| {
        let insn = case.insn(at);
        let to = insn.successors(at).jump.filter(|_| !insn.is_call());
        to.is_some_and(|t| t <= at as i64 && t > head as i64)
    })
}

/// A loop that is followed until nothing is left to follow it with: only what it reads says when it ends.
pub(crate) fn runaway_loop(case: &Case<'_>) -> bool {
    matches!(case.reason(), ebpfkit_verifier::Reason::Explore(ExploreReason::TooLarge { .. }))
        && unbounded_loop(case)
        && all_in_loop(case)
}

/// Whether the path goes around a loop that only something decides of which the verifier knows nothing.
fn unbounded_loop(case: &Case<'_>) -> bool {
    let Some((from, head)) = closing_jump(case) else { return false };
    let last = case.step().unwrap_or(0);
    let exits = conditions(case, head, from);
    !exits.is_empty()
        && exits.iter().all(|&at| {
            let step = (0..=last).rev().find(|&s| case.trace.steps[s].insn == at);
            step.and_then(|s| case.trace.reg(s, case.insn(at).dst))
                .is_none_or(|r| !r.var_off.is_const() || r.ty.base == RegBase::BtfId)
        })
}

/// An endless loop that is written as one: a panic handler, mostly.
fn own_jump(case: &Case<'_>, at: usize, to_itself: bool) -> Draft {
    let last = case.step().unwrap_or(0);
    let mut d = Draft::new(
        if to_itself {
            format!("this path ends at {} in a loop that does nothing for ever", case.line_of(at))
        } else {
            format!("this path ends at {} in a loop without an exit", case.line_of(at))
        },
        "an endless loop",
    )
    .at(at);
    let panics = case.function_at(at).is_some_and(|f| f.contains("panic"))
        || case.source(at).is_some_and(|l| l.file.ends_with(".rs"));
    if let Some((branch, _)) = super::ctx::branches(case, 1).into_iter().next() {
        d = d.span(case.span(branch, "when this check fails, the path leads to the endless loop"));
    } else {
        // The branch stands in the caller, or on the line of the loop itself.
        let found = (0..last).rev().map(|s| case.trace.steps[s].insn).find(|&i| {
            let next = case.insn(i).successors(i);
            i != at && !case.insn(i).is_call() && next.jump.is_some() && next.fallthrough.is_some()
        });
        if let Some(branch) = found {
            d = d.span(case.span(branch, "when this check fails, the path leads to the endless loop"));
        }
    }
    if let Some(check) = super::panics::failing(case).filter(|_| panics) {
        let (wrong, help) = super::panics::words(&check.what);
        d.headline = format!("{wrong}, and the panic handler loops for ever");
        if check.what == super::panics::Panics::Other {
            d.headline = format!("a path leads to the panic handler, which loops for ever: {wrong}");
            return d.note("indexing (`a[i]`), divisions, `unwrap` and `expect` panic when they fail").help(help);
        }
        // The program's own line is the one that is meant; the loop is where it leads.
        d.spans.retain(|s| s.insn != Some(case.trace.steps[check.step].insn));
        d.spans.push(case.span(at, "the path ends here, in the panic handler"));
        d.place = case.span_at(&check.line.file, check.line.line, "");
        d.label = "when this fails, the path leads to the panic handler".into();
        d.at = Some(case.trace.steps[check.step].insn);
        return d.help(help);
    }
    if panics {
        d.headline =
            "a path leads to the panic handler, which loops for ever: a check that can fail is left in the program"
                .into();
        return d
            .note("indexing (`a[i]`), arithmetic that may overflow, `unwrap` and `expect` panic when they fail")
            .help("use `.get(i)` (or compare the index with the length first) and return where there is nothing, so that no panic is left");
    }
    d.help("leave the loop: return, or give it a condition that ends")
}

/// The lines on which most of the work was done.
fn hot(case: &Case<'_>, mut d: Draft, most: usize) -> Draft {
    let mut by_line: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    for (at, &count) in case.trace.visits.iter().enumerate().filter(|(_, c)| **c > 0) {
        let entry = by_line.entry(case.line_of(at)).or_insert((0, at));
        entry.0 += u64::from(count);
    }
    let mut lines: Vec<(u64, usize)> = by_line.into_values().collect();
    lines.sort_by_key(|l| std::cmp::Reverse(l.0));
    for (i, (count, at)) in lines.into_iter().take(most).enumerate() {
        let label = format!("{count} instructions were verified for this line");
        if i == 0 {
            (d.at, d.label) = (Some(at), label);
        } else {
            d.spans.push(case.span(at, label));
        }
    }
    d
}

fn too_large(case: &Case<'_>, what: String) -> Draft {
    let d = Draft::new(what, String::new()).blame(Blame::Limit);
    let d = hot(case, d, 3);
    let loops = closing_jump(case);
    let d = match loops {
        Some((from, head)) => {
            let exits = conditions(case, head, from);
            let at = exits.first().copied().unwrap_or(from);
            d.note(format!("the path that was followed last goes around the loop at {}", case.line_of(at)))
                .help("make the loop one that is verified once: bpf_loop with a callback, bpf_for or bpf_repeat, or `can_loop`/`cond_break`")
        }
        None => d.help("split the program: move parts into global functions, which are verified once, or into programs that are called by bpf_tail_call"),
    };
    d.help("keep fewer different values alive across branches and loop iterations, so that states become equal (for instance, bound or mask numbers to the same range on both sides)")
}

/// Explains limits of the walk.
pub(crate) fn walk(case: &Case<'_>, reason: &ExploreReason) -> Option<Draft> {
    use ExploreReason as R;
    Some(match reason {
        R::InfiniteLoop { insn, .. } => endless(case, *insn),
        R::TooLarge { .. } if runaway_loop(case) => {
            let d = endless(case, case.at());
            d.note("each time around differs from those before, so that the loop is followed until one million instructions are used up")
        }
        R::TooLarge { insns } => too_large(
            case,
            format!(
                "one million instructions were followed without an end ({insns}): too many paths, or a loop with too many iterations"
            ),
        ),
        R::TooManyBranches { .. } if unbounded_loop(case) => endless(case, case.at()),
        R::TooManyBranches { limit } => too_large(
            case,
            format!("more than {} branches wait to be followed: the program forks too often", limit - 1),
        ),
        _ => return None,
    })
}

/// The instruction of a function that uses the deepest stack.
fn deepest(case: &Case<'_>, start: usize, end: usize) -> Option<(usize, i64)> {
    let mut deepest: Option<(usize, i64)> = None;
    for at in start..end {
        let insn = case.insn(at);
        let off = match insn.memory_base() {
            Some(10) => i64::from(insn.off),
            _ if insn.class() == opcode::class::ALU64
                && insn.op() == opcode::alu::ADD
                && !insn.is_src_reg()
                && insn.imm < 0
                && at > start =>
            {
                let before = case.insn(at - 1);
                if before.is_src_reg() && before.src == 10 && before.dst == insn.dst {
                    i64::from(insn.imm)
                } else {
                    continue;
                }
            }
            _ => continue,
        };
        if deepest.is_none_or(|(_, d)| off < d) {
            deepest = Some((at, off));
        }
    }
    deepest
}

/// Bytes on the stack of each function of the program: first slot, end and bytes.
fn frames(case: &Case<'_>) -> Vec<(usize, usize, i64)> {
    let starts = case.local_starts();
    let ends = starts.iter().skip(1).copied().chain([case.program.insns.len()]);
    starts.iter().zip(ends).map(|(&s, e)| (s, e, deepest(case, s, e).map_or(0, |d| -d.1))).collect()
}

/// Declarations of large variables in the source of a function.
pub(super) fn large_variables(case: &Case<'_>, start: usize) -> Vec<Span> {
    let (Some(btf), Some(file)) = (case.btf(), case.main_file()) else { return Vec::new() };
    let mut out = Vec::new();
    for (number, text) in case.function_lines(start) {
        let Some(bytes) = declared_bytes(btf, text.trim()).filter(|b| *b >= 64) else { continue };
        out.extend(case.span_at(file, number, format!("this variable takes {} of the stack", words::bytes(bytes))));
    }
    out
}

/// Bytes of the variable that a line declares: arrays of plain numbers, and structs of the object's types.
fn declared_bytes(btf: &ebpfkit_object::Btf, line: &str) -> Option<i64> {
    let line = line.split('=').next()?.trim().trim_end_matches(';').trim();
    let (head, count) = match line.split_once('[') {
        Some((head, rest)) => (head.trim(), rest.strip_suffix(']')?.trim().parse::<i64>().ok()?),
        None => (line, 1),
    };
    let words: Vec<&str> = head.split_whitespace().collect();
    let (name, kind) = words.split_last()?;
    if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let size = match kind {
        ["char" | "__u8" | "u8" | "__s8" | "unsigned", ..] if kind.last() != Some(&"int") => 1,
        ["__u16" | "u16" | "short"] => 2,
        ["__u32" | "u32" | "__s32" | "int"] | ["unsigned", "int"] => 4,
        ["__u64" | "u64" | "__s64" | "long"] | ["unsigned", "long"] | ["long", "long"] => 8,
        ["struct", of] => i64::from(btf.size_of(btf.find(of, ebpfkit_object::btf::Kind::Struct)?)?),
        _ => return None,
    };
    size.checked_mul(count)
}

/// Frames of functions that are too large together.
fn stack(case: &Case<'_>, headline: String) -> Draft {
    let frames = frames(case);
    let mut used: Vec<_> = frames.iter().filter(|f| f.2 > 0).collect();
    used.sort_by_key(|f| std::cmp::Reverse(f.2));
    let mut d = Draft::new(headline, String::new()).blame(Blame::Limit);
    for (i, (start, end, bytes)) in used.into_iter().take(4).enumerate() {
        let name = case.function_at(*start).unwrap_or_else(|| "this function".into());
        let label = format!("{name} has {} of variables on its stack", words::bytes(*bytes));
        if i == 0 {
            (d.at, d.label) = (Some(*start), label);
        } else {
            d.spans.push(case.span(*start, label));
        }
        let declared = large_variables(case, *start);
        if let Some((at, off)) = deepest(case, *start, *end)
            && declared.is_empty()
            && !case.same_line(at, *start)
        {
            d.spans.push(case.span(at, format!("the largest variable of {name} begins here, at fp{off:+}")));
        }
        d.spans.extend(declared);
    }
    if let Some(call) = case.program.insns.iter().enumerate().find(|(_, i)| i.is_local_call()).map(|(at, _)| at) {
        d.spans.push(case.span(
            call,
            format!(
                "the frame of {} comes on top of this one",
                case.callee(call).unwrap_or_else(|| "the function".into())
            ),
        ));
    }
    d.help("move the largest buffer to a per-CPU array map with one entry, or make it smaller")
        .help("or let callers and callees share one buffer: pass its address")
}

/// Explains limits that are found before or after the walk.
pub(crate) fn program(case: &Case<'_>, reason: &ProgramReason) -> Option<Draft> {
    use ProgramReason as R;
    let _ = RegBase::Stack;
    Some(match reason {
        R::CombinedStackTooLarge { calls, depth } => stack(
            case,
            format!(
                "the frames of {calls} functions that call each other need {depth} bytes of stack together, and there are {STACK_SIZE}"
            ),
        ),
        R::SubprogStackTooLarge { subprog, depth } => {
            stack(case, format!("function {subprog} needs {depth} bytes of stack, and there are {STACK_SIZE}"))
        }
        R::TailCallStack { depth } => stack(
            case,
            format!(
                "a function that makes tail calls is reached with {depth} bytes of stack in use; at most 256 may be"
            ),
        ),
        R::RecursiveCall { from, to } => Draft::new(
            if from == to {
                format!("{from} calls itself")
            } else {
                format!("{from} and {to} call each other in a circle")
            },
            "recursion",
        )
        .help("write a loop with a bound instead"),
        R::CallChainTooDeep { frames } => {
            Draft::new(format!("functions call each other {frames} levels deep, which is too many"), "the deepest call")
                .blame(Blame::Limit)
                .help("inline some of them (`static __always_inline`), or turn one level into a tail call")
        }
        R::TooManySubprogs {} => Draft::new("the program has more than 256 functions", "here")
            .blame(Blame::Limit)
            .help("inline small functions, or split the program by tail calls"),
        R::TooManyMaps {} => Draft::new("the program uses more than 64 maps", "here")
            .blame(Blame::Limit)
            .help("put several into one map of structs, or into a map of maps"),
        R::TooManyInsns { insns, limit } => Draft::new(
            format!("the program has {insns} instructions, and users without CAP_BPF may load {limit}"),
            "here",
        )
        .blame(Blame::Limit)
        .help("load it with CAP_BPF, or make it smaller"),
        _ => return None,
    })
}
