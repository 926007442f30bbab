//! From an object to a program that may be run: chosen, verified, loaded.

use super::Args;
use crate::cmd::Selection;
use crate::host::Host;
use crate::judge::{diagnose, judge};
use crate::{End, paint};
use anyhow::{Result, bail};

use ebpfkit_object::Prepared;
use ebpfkit_object::btf::Kind;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, Owners, Verdict, Verified};
use ebpfkit_vm::{Instance, Program, World};
use std::sync::Arc;

/// A program with its object's maps.
pub struct Loaded {
    /// Maps and other programs.
    pub instance: Instance,
    /// The program.
    pub program: Arc<Program>,
}

/// The one program that is meant: the only one selected that no prog array of the object holds.
pub fn choose(selection: &Selection, prepared: &Prepared) -> Result<usize> {
    let object = &prepared.object;
    let picked = selection.pick(object)?;
    let is_target = |n: &usize| {
        object.maps.iter().any(|m| match &m.init {
            ebpfkit_object::MapInit::Programs(slots) => slots.iter().any(|s| s.1 == *n),
            _ => false,
        })
    };
    let main: Vec<usize> = picked.iter().copied().filter(|n| picked.len() == 1 || !is_target(n)).collect();
    match main[..] {
        [one] => Ok(one),
        [] => bail!("{}: no programs", object.name),
        _ => {
            let names: Vec<String> =
                main.iter().map(|n| &object.programs[*n]).map(|p| format!("{} ({})", p.name, p.section)).collect();
            bail!("{}: which program? Choose one with -n: {}", object.name, names.join(", "))
        }
    }
}

/// Verifies and loads the program and those it can tail-call. The inner error is how the command ends.
pub fn load(args: &Args, host: &Host, prepared: &Prepared, index: usize, world: &World) -> Result<Result<Loaded, End>> {
    let mut instance = Instance::new(&prepared.object, &host.model, world.cpus);
    let mut targets: Vec<usize> = instance.tail_call_targets().collect();
    targets.sort_unstable();
    targets.dedup();
    targets.retain(|t| *t != index);
    let kfunc = |id: u32, btf: i16| {
        let kernel = host.model.btf().filter(|_| btf == 0)?;
        (kernel.kind(id) == Some(Kind::Func)).then(|| kernel.name(id).to_owned())
    };
    let mut program = None;
    for n in targets.into_iter().chain([index]) {
        let verified = match verify(args, host, prepared, n) {
            Ok(verified) => verified,
            Err(end) => return Ok(Err(end)),
        };
        match instance.load(&prepared.object, n, verified.as_ref(), &kfunc) {
            Ok(loaded) => program = Some(loaded),
            Err(e) => {
                let p = &prepared.object.programs[n];
                anstream::eprintln!("{} {} ({}): {e}", paint::warning("unsupported"), p.name, p.section);
                return Ok(Err(End::Unsupported));
            }
        }
    }
    let Some(program) = program else { bail!("{}: no programs", prepared.object.name) };
    Ok(Ok(Loaded { instance, program }))
}

/// What the verifier says; `None` when the program is to run unverified.
fn verify(args: &Args, host: &Host, prepared: &Prepared, index: usize) -> Result<Option<Verified>, End> {
    let program = &prepared.object.programs[index];
    let head = format!("{} ({})", program.name, program.section);
    let judged = judge(host, prepared, index, Options::to_run(), &mut Owners::default(), &mut Silent);
    let result = judged.result;
    let message = result.message.as_deref().unwrap_or_default();
    let end = match judged.report.map(|r| r.verdict) {
        None => {
            anstream::eprintln!("{} {head}: {message}", paint::error("unloadable"));
            return Err(End::Bad);
        }
        Some(Verdict::Accepted(verified)) => return Ok(Some(verified)),
        Some(Verdict::Rejected(_)) if args.unverified => return Ok(None),
        Some(Verdict::Unsupported { .. }) if args.unverified => return Ok(None),
        Some(Verdict::Rejected(r)) => {
            anstream::eprintln!("{} {head}", paint::error("rejected"));
            anstream::eprintln!("{}", diagnose(host, prepared, index, Options::to_run(), &result, &r));
            End::Bad
        }
        Some(Verdict::Unsupported { at, .. }) => {
            anstream::eprintln!("{} {head}: {message} (instruction {at})", paint::warning("unsupported"));
            End::Unsupported
        }
    };
    anstream::eprintln!("Not run; `--unverified` runs it with every access checked.");
    Err(end)
}
