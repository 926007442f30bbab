//! From an object to a program that may be run: chosen, verified, loaded.

use super::Args;
use crate::cmd::{head, listed, map_help, type_help};
use crate::end::{End, Failure};
use crate::files;
use crate::host::Host;
use crate::judge::judge;
use crate::out::{self, note};
use crate::paint;
use anyhow::{Context, Result, bail};
use ebpfkit_explain::files::Sources;
use ebpfkit_explain::judge::{Asked, Outcome};
use ebpfkit_object::{MapInit, Prepared};
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, Owners, Verified};
use ebpfkit_vm::{Instance, Program, TargetError, World};
use std::sync::Arc;

/// A program with its object's maps.
pub struct Loaded {
    /// Maps and other programs.
    pub instance: Instance,
    /// The program.
    pub program: Arc<Program>,
}

/// The one program that is meant: the only one selected that no prog array of the object holds.
pub fn choose(args: &Args, prepared: &Prepared) -> Result<usize> {
    let object = &prepared.object;
    let picked = args.selection.pick(object).with_context(|| files::name(&args.file))?;
    let is_target = |n: &usize| {
        object.maps.iter().any(|m| match &m.init {
            MapInit::Programs(slots) => slots.iter().any(|s| s.1 == *n),
            _ => false,
        })
    };
    let main: Vec<usize> = picked.iter().copied().filter(|n| picked.len() == 1 || !is_target(n)).collect();
    match main[..] {
        [one] => Ok(one),
        [] => bail!("{}: no programs", files::name(&args.file)),
        _ => {
            let names = listed(main.iter().map(|n| &object.programs[*n]));
            bail!("{}: which program? Choose one with -n: {names}", files::name(&args.file))
        }
    }
}

/// Verifies and loads the program and those it can tail-call. The inner error is how the command ends.
pub fn load(args: &Args, host: &Host, prepared: &Prepared, index: usize, world: &World) -> Result<Result<Loaded, End>> {
    let mut instance = Instance::in_world(&prepared.object, &host.model, world);
    let program = load_into(args, host, prepared, &mut instance, index)?;
    Ok(program.map(|program| Loaded { instance, program }))
}

/// The same with maps that are there already.
pub fn load_into(
    args: &Args,
    host: &Host,
    prepared: &Prepared,
    instance: &mut Instance,
    index: usize,
) -> Result<Result<Arc<Program>, End>> {
    let object = &prepared.object;
    let kfunc = |id, index| host.model.kfunc_name(id, index);
    let loaded = instance.load_with_targets(object, index, |n| verify(args, host, prepared, n, n == index), &kfunc);
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(TargetError::Refused(end)) => return end.map(Err),
        Err(TargetError::Load(e)) => {
            return Err(Failure::unsupported(e).context(head(&object.programs[index])));
        }
    };
    for (target, why) in loaded.missing {
        let why = match why {
            // It was said when it was judged.
            TargetError::Refused(end) => {
                end?;
                continue;
            }
            TargetError::Load(e) => e,
        };
        note!(
            "{} {} is not loaded, tail calls of it fail: {why}",
            paint::warning("note:"),
            head(&object.programs[target])
        );
    }
    Ok(Ok(loaded.program))
}

/// What the verifier says; `None` when the program is to run with checks.
fn verify(
    args: &Args,
    host: &Host,
    prepared: &Prepared,
    index: usize,
    is_main: bool,
) -> Result<Option<Verified>, Result<End>> {
    let program = &prepared.object.programs[index];
    let timed = judge(host, prepared, index, Options::to_run(), &mut Owners::default(), &mut Silent);
    let message = timed.judged.message().unwrap_or_default();
    if !is_main && !matches!(timed.judged.outcome, Outcome::Accepted(_)) && !args.unverified {
        let why = format!("{}: {message}", timed.judged.status());
        note!("{} {} is not loaded, tail calls of it fail: {why}", paint::warning("note:"), head(program));
        return Err(Ok(End::Bad));
    }
    let end = match &timed.judged.outcome {
        Outcome::Accepted(verified) => return Ok(Some(verified.clone())),
        Outcome::Rejected { .. } | Outcome::Unsupported { .. } if args.unverified => return Ok(None),
        Outcome::Rejected { .. } => {
            note!("{} {}", paint::error("rejected"), head(program));
            let options = Options::to_run();
            let sources = Sources::new(|name| files::source_of(&args.file, name));
            let asked = Asked { kernel: &host.model, prepared, program: index, options, sources: &sources };
            if let Some(text) = timed.judged.diagnosis(&asked) {
                note!("{text}");
            }
            End::Bad
        }
        Outcome::Unsupported { at, .. } => {
            note!("{} {}: {message} (instruction {at})", paint::warning("unsupported"), head(program));
            End::Unsupported
        }
        Outcome::Unloadable(_) => {
            note!("{} {}: {message}", paint::error("unloadable"), head(program));
            if let Some(help) = type_help(program).or_else(|| map_help(&prepared.object, &message)) {
                note!("  help: {help}");
            }
            End::Bad
        }
    };
    if !matches!(timed.judged.outcome, Outcome::Unloadable(_)) {
        note!("Not run; `--unverified` runs it with every access checked.");
    }
    let printed = if args.json { out::json(&timed.result(program)) } else { Ok(()) };
    Err(printed.map(|()| end))
}
