//! Runs in the running kernel (`BPF_PROG_TEST_RUN`).

use super::single::{Outcome, read_input, show, write};
use super::{Args, Chosen, maps, no_kernel, print};
use crate::cmd::head;
use crate::end::End;
use crate::out::{self, note};
use crate::paint;
use anyhow::{Result, bail};
use ebpfkit_abi::{retval_name, test_run};
use ebpfkit_kernel::{Answer, Kernel, LoadedProgram, LogLevel, Session, TestRun};
use ebpfkit_object::Program;
use serde::Serialize;

/// A program that the kernel does not take; documented in `docs/json.md`.
#[derive(Serialize)]
struct Refused<'a> {
    name: &'a str,
    section: &'a str,
    #[serde(rename = "type")]
    program_type: String,
    verdict: &'a str,
    message: String,
}

/// A program that the kernel has loaded, with its maps.
pub struct Ready<'p> {
    pub kernel: Kernel,
    pub session: Session<'p>,
    pub loaded: LoadedProgram,
}

/// Loads a program into the kernel and sets its maps. The inner error is how the command ends.
pub fn ready<'p>(args: &Args, chosen: &'p Chosen) -> Result<Result<Ready<'p>, End>> {
    let Chosen { prepared, index, entries, .. } = chosen;
    let index = *index;
    let program = &prepared.object.programs[index];
    has_test_run(program)?;
    let kernel = Kernel::open().map_err(no_kernel)?;
    let session = Session::new(kernel, prepared).map_err(no_kernel)?;
    let loaded = match session.load(index, LogLevel::NONE).map_err(no_kernel)?.program {
        Ok(loaded) => loaded,
        Err(_) => return refused(args, program, &session.judge(index).answer).map(Err),
    };
    maps::set_in_kernel(entries, prepared, &session)?;
    session.load_prog_arrays(index, &loaded).map_err(no_kernel)?;
    Ok(Ok(Ready { kernel, session, loaded }))
}

/// Runs the program on one input.
pub fn run(args: &Args, chosen: &Chosen) -> Result<End> {
    let prepared = &chosen.prepared;
    let kind = prepared.object.programs[chosen.index].prog_type;
    let once = TestRun::runs_once(kind);
    if once && args.repeat > 1 {
        bail!("the kernel runs {kind} programs once and does not time them; leave out --repeat");
    }
    let (data, ctx) = read_input(args, kind)?;
    let Ready { kernel, session, loaded } = match ready(args, chosen)? {
        Ok(ready) => ready,
        Err(end) => return Ok(end),
    };
    let test = TestRun::of(kind, data.as_deref(), &ctx, args.repeat);
    let result = kernel.test_run(&loaded, &test).map_err(no_kernel)?;
    write(args.data_out.as_deref(), &result.data)?;
    write(args.ctx_out.as_deref(), &result.ctx)?;
    let name = retval_name(kind, result.retval);
    let duration_ns = (!once).then_some(result.duration_ns.into());
    let maps = print::Maps::in_kernel(args, prepared, &session);
    if args.json {
        out::json(&Outcome {
            retval: Some(result.retval),
            name,
            fault: None,
            duration_ns,
            events: Vec::new(),
            lost: None,
            maps: (!args.no_maps).then_some(&maps),
        })?;
    } else {
        show(result.retval, name, duration_ns, args.repeat)?;
        if !args.no_maps {
            maps.show()?;
        }
    }
    Ok(End::Good)
}

/// Fails where the kernel has no test-run of a program.
fn has_test_run(program: &Program) -> Result<()> {
    let (kind, attach) = (program.prog_type, program.attach_type);
    match test_run::of(kind, attach) {
        Ok(_) => Ok(()),
        Err(no) => Err(no_kernel(format!("the kernel has no test-run of {}: {}", head(program), no.why))),
    }
}

/// Says why the kernel does not take a program, in its words.
fn refused(args: &Args, program: &Program, answer: &Answer) -> Result<End> {
    let verdict = if matches!(answer, Answer::Rejected(_)) { "rejected" } else { "unloadable" };
    let end = if answer.is_forbidden() { End::Unsupported } else { End::Bad };
    let message = answer.message().unwrap_or_else(|| "it takes the program now and then only".into());
    if args.json {
        let (name, section) = (program.name.as_str(), program.section.as_str());
        out::json(&Refused {
            name,
            section,
            program_type: program.prog_type.to_string(),
            verdict,
            message: message.clone(),
        })?;
    }
    note!("{} by the kernel: {}: {message}", paint::error(verdict), head(program));
    Ok(end)
}
