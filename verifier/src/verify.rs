//! The one way in: a program, a kernel, an answer.

use crate::env::Input;
use crate::observer::Event;
use crate::program::UsedMap;
use crate::verdict::{AssumedMap, Assumptions, Facts};
use crate::{Env, KernelModel, Observer, Options, Rejection, Report, Step, Stop, Verdict, Verified};
use ebpfkit_abi::{Feature, map_flags};
use ebpfkit_object::record::Record;
use ebpfkit_object::{Map, Object, Program};
use std::sync::Arc;

/// Decides whether `kernel` would load program number `program` of a prepared object.
///
/// The observer sees the walk; pass [`crate::observer::Silent`] for none.
pub fn verify(
    kernel: &KernelModel,
    object: &Object,
    program: usize,
    options: Options,
    observer: &mut dyn Observer,
) -> Report {
    match object.programs.get(program) {
        Some(prog) => judge(kernel, object, prog, options, observer, |env| verified(env, prog)),
        None => unsupported("a program that the object does not have"),
    }
}

/// Decides the same of a program that need not be one of the object's, such as an edited form of one: maps and types are
/// those of the object. The answer comes without a [`Verified`], which those need who run or load the program.
pub fn check_program(
    kernel: &KernelModel,
    object: &Object,
    prog: &Program,
    options: Options,
    observer: &mut dyn Observer,
) -> Report<()> {
    judge(kernel, object, prog, options, observer, |_| ())
}

/// A report of what is not judged.
fn unsupported<T>(what: &str) -> Report<T> {
    Report {
        verdict: Verdict::Unsupported { what: what.into(), at: 0 },
        insns_processed: 0,
        total_states: 0,
        peak_states: 0,
        max_states_per_insn: 0,
        stack_depths: Vec::new(),
    }
}

/// The verdict, with what `accepted` makes of an accepted program.
fn judge<T>(
    kernel: &KernelModel,
    object: &Object,
    prog: &Program,
    options: Options,
    observer: &mut dyn Observer,
    accepted: impl FnOnce(&Env<'_>) -> T,
) -> Report<T> {
    if prog.insns.is_empty() {
        return unsupported("a program without instructions");
    }
    let wants_stats = observer.log_level() & 4 != 0;
    let replaced = std::cell::OnceCell::new();
    let mut env = Env::new(Input::new(kernel, object, prog, options, observer, &replaced), observer);
    let log_level = env.log_level();
    let result = decide(&mut env);
    let verdict = match result {
        Ok(()) => Verdict::Accepted(accepted(&env)),
        Err(Stop::Reject(reason)) => {
            if env.wants_events() {
                env.observer.event(Event::Rejected(&reason));
            }
            let text = reason.text(&|feature| kernel.has(feature));
            Verdict::Rejected(Box::new(Rejection { reason: *reason, insn: env.path.insn_idx, text }))
        }
        Err(Stop::Unsupported(what)) => Verdict::Unsupported { what, at: env.path.insn_idx },
    };
    if log_level != 0
        && let Verdict::Rejected(r) = &verdict
    {
        env.observer.text(format_args!("{}\n", r.text));
    }
    // Functions that no path enters are taken out of an accepted program.
    let accepted = matches!(verdict, Verdict::Accepted(_));
    let functions = &env.subprogs[..env.subprogs.len().saturating_sub(1)];
    let kept = |s: &&crate::program::SubprogInfo| !accepted || env.aux.get(s.start).is_some_and(|a| a.seen);
    let stack_depths: Vec<u32> = functions.iter().filter(kept).map(|s| s.stack_depth).collect();
    if wants_stats {
        let depths: Vec<String> = stack_depths.iter().map(u32::to_string).collect();
        env.observer.text(format_args!("stack depth {}\n", depths.join("+")));
    }
    if log_level != 0 || wants_stats {
        let crate::tables::Walk { max_states_per_insn, total_states, peak_states, longest_read, .. } = env.tables.walk;
        env.observer.text(format_args!(
            "processed {} insns (limit 1000000) max_states_per_insn {max_states_per_insn} total_states {total_states} \
             peak_states {peak_states} mark_read {longest_read}\n",
            env.insn_processed
        ));
    }
    Report {
        verdict,
        insns_processed: env.insn_processed,
        total_states: env.tables.walk.total_states,
        peak_states: env.tables.walk.peak_states,
        max_states_per_insn: env.tables.walk.max_states_per_insn,
        stack_depths,
    }
}

/// What was proved of an accepted program.
fn verified(env: &Env<'_>, prog: &Program) -> Verified {
    let facts = Facts {
        reached: env.aux.iter().map(|a| a.seen).collect(),
        pointers: env.aux.iter().map(|a| a.ptr_type).collect(),
        maps: env.maps.iter().map(|m| m.index).filter(|&m| m != usize::MAX).collect(),
        attach_proto: env.attach.proto,
        soundness_mattered: env.soundness_mattered.get(),
    };
    Verified { program: Arc::new(prog.clone()), assumptions: Arc::new(assumptions(env)), facts: Arc::new(facts) }
}

/// What the verification took for granted.
fn assumptions(env: &Env<'_>) -> Assumptions {
    let with_contents = |m: &UsedMap<'_>| m.def.frozen && m.flags() & map_flags::RDONLY_PROG != 0;
    let inner_fields =
        |m: &UsedMap<'_>| m.inner.and_then(|n| env.maps.get(n as usize)).map(|m| Record::clone(&m.record));
    let named = env.maps.iter().filter(|m| m.index < env.object().maps.len());
    let maps = named.map(|m| AssumedMap {
        number: m.index,
        def: Map { flags: m.flags(), ..if with_contents(m) { m.def.clone() } else { m.def.without_contents() } },
        fields: Record::clone(&m.record),
        inner_fields: inner_fields(m).unwrap_or_default(),
    });
    Assumptions {
        sound: env.options().sound,
        maps: maps.collect(),
        object_types: env.shared_btf(),
        kernel_types: env.kernel().opened_btf().cloned(),
        ctx_bytes: env.ctx_use.bytes,
        arguments: env.ctx_use.arguments.clone(),
        buffer_bytes: env.ctx_use.buffer_bytes,
    }
}

fn decide(env: &mut Env<'_>) -> Step {
    env.check_loadable()?;
    env.run_prepass()?;
    env.prepare_liveness();
    // The main function's arguments are looked at too, but what is wrong with them is only said.
    if env.log_level() != 0
        && env.btf().is_some()
        && !env.prog().func_info.is_empty()
        && let Err(Stop::Reject(reason)) = env.prepare_func_args(0)
    {
        env.verbose(format_args!("{reason}\n"));
    }
    let globals_first = !env.has(Feature::LazyGlobals);
    if globals_first {
        env.check_global_functions()?;
    }
    env.start_main();
    env.acquire_owned_arguments();
    env.walk()?;
    if !globals_first {
        env.check_global_functions()?;
    }
    env.run_postpass()
}
