//! `debug`: a program's verification, or a run of it, step by step in both directions.

mod gdb;
mod screen;

use super::run;
use crate::cmd::load;
use crate::end::End;
use crate::host::Host;
use crate::judge::judge;
use crate::out::{self, note};
use crate::{files, paint};
use anyhow::{Context, Result, bail};
use ebpfkit_explain::explore::{Exploration, Session, Walk};
use ebpfkit_explain::judge::{Judged, Outcome, Status};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::{Options, Owners};
use std::io::{BufRead, IsTerminal, Write};

/// Arguments of `debug`.
#[derive(clap::Args)]
#[group(id = "debug")]
pub struct Args {
    /// Step through a run, with the options of `run`, instead of through the verification
    #[arg(long = "run")]
    runs: bool,
    /// Take commands as lines of standard input, as is done where that is no terminal
    #[arg(long)]
    lines: bool,
    /// Serve the run to gdb or lldb at this address, such as localhost:1234 (docs/debugging.md)
    #[arg(long, value_name = "ADDR", requires = "runs", conflicts_with = "lines")]
    gdb: Option<String>,
    #[command(flatten)]
    run: run::Args,
}

/// Records, then answers commands.
pub fn run(args: &Args) -> Result<End> {
    if let Some(address) = &args.gdb {
        return gdb::serve(&args.run, address);
    }
    let exploration = if args.runs { run::record(&args.run)? } else { verification(&args.run)? };
    let mut session = Session::new(exploration);
    if !args.lines && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        screen::show(&mut session)?;
        return Ok(End::Good);
    }
    lines(&mut session)
}

/// The recorded verification of the one program that is meant.
fn verification(args: &run::Args) -> Result<Exploration> {
    args.check_verification()?;
    let host = args.kernel.host()?;
    let prepared = load(&args.file, &host, &args.types, &args.selection)?;
    let picked = args.selection.pick(&prepared.object).with_context(|| files::name(&args.file))?;
    let options = Options::default();
    let status = |index| {
        let silent = &mut ebpfkit_verifier::observer::Silent;
        judge(&host, &prepared, index, options, &mut Owners::default(), silent).judged.status()
    };
    let index = match picked[..] {
        [one] => Some(one),
        _ => choose(picked.iter().map(|index| (*index, status(*index)))),
    };
    let Some(index) = index else { bail!("{}: no programs", files::name(&args.file)) };
    if picked.len() > 1 {
        let name = &prepared.object.programs[index].name;
        note!("{} {name} is looked at; -n NAME chooses another program", paint::warning("note:"));
    }
    record(&host, &prepared, index, options, None)
}

/// The program to look at, by the verdicts: the first that is rejected, otherwise the first that a verifier sees.
pub fn choose(verdicts: impl Iterator<Item = (usize, Status)>) -> Option<usize> {
    let (mut first, mut unloadable) = (None, None);
    for (index, status) in verdicts {
        if status == Status::Rejected {
            return Some(index);
        }
        // Of a program that no verifier sees there is nothing to show.
        if status == Status::Unloadable { &mut unloadable } else { &mut first }.get_or_insert(index);
    }
    first.or(unloadable)
}

/// Verifies a program and records every path. `judged` is what came of it before, where that is known.
pub fn record(
    host: &Host,
    prepared: &Prepared,
    index: usize,
    options: Options,
    judged: Option<&Judged>,
) -> Result<Exploration> {
    let program = &prepared.object.programs[index];
    let mut walk = Walk::new(&host.model, &prepared.object, program);
    let found = judge(host, prepared, index, options, &mut Owners::default(), &mut walk).judged;
    let judged = judged.unwrap_or(&found);
    if let Outcome::Unloadable(why) = &judged.outcome {
        bail!("{}: {why}", program.name);
    }
    let message = judged.message().map(|m| format!(": {m}")).unwrap_or_default();
    let rejected = judged.insn().filter(|_| judged.status() == Status::Rejected);
    Ok(walk.finish(format!("{}{message}", judged.status()), rejected))
}

/// Answers commands that stand on lines of standard input.
fn lines(session: &mut Session) -> Result<End> {
    let mut out = out::results();
    let e = session.exploration();
    writeln!(out, "{}: {}", e.program, e.verdict).context(out::STDOUT)?;
    if !e.steps.is_empty() {
        out.write_all(session.position_text().as_bytes()).context(out::STDOUT)?;
    }
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input")?;
        writeln!(out, "> {line}").context(out::STDOUT)?;
        let answer = session.execute(&line);
        out.write_all(answer.text.as_bytes()).and_then(|()| out.flush()).context(out::STDOUT)?;
        if answer.quits {
            break;
        }
    }
    Ok(End::Good)
}
