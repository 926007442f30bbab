//! `verify`: the kernel's verdict on each program, with a diagnosis of each rejection.

use crate::cmd::debug;
use crate::cmd::effort::EffortArgs;
use crate::cmd::matrix::{self, Form};
use crate::cmd::report::{ForTools, Report};
use crate::cmd::{Labels, Selection, TypeArgs, head, load, map_help, open, requirements, type_help};
use crate::end::{End, Failure};
use crate::host::{Host, KernelArgs};
use crate::judge::{FileResult, ProgramResult, Timed, duration, judge, judge_recorded};
use crate::out::{self, note, say};
use crate::{files, paint};
use anyhow::{Context, Result, bail};
use ebpfkit_asm::Style;
use ebpfkit_explain::Repair;
use ebpfkit_explain::effort::{Effort, Recorder};
use ebpfkit_explain::explain::terminal;
use ebpfkit_explain::files::Sources;
use ebpfkit_explain::judge::{Asked, Judged, Outcome, Status};
use ebpfkit_explain::loader;
use ebpfkit_object::Prepared;
use ebpfkit_profiles::Profile;
use ebpfkit_verifier::log::KernelLog;
use ebpfkit_verifier::{Options, Owners};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arguments of `verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Object files, or assembly text; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    types: TypeArgs,
    #[command(flatten)]
    kernel: KernelArgs,
    /// Print the kernel's log: 1 the failing path, 2 every path; add 4 for statistics
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=6), conflicts_with_all = ["json", "profile"])]
    log_level: u8,
    /// One JSON object for each file
    #[arg(short, long)]
    json: bool,
    /// How the answers are printed: text; csv for several kernels; sarif or github for services that read them
    #[arg(long, value_enum, conflicts_with = "json", value_name = "FORMAT")]
    format: Option<Format>,
    /// Say what the object needs of a kernel and the oldest one on which all its programs load [default of --kernel: all]
    #[arg(long, conflicts_with_all = ["format", "btf", "log_level"])]
    requirements: bool,
    /// Apply the rules for a user without capabilities
    #[arg(long)]
    unprivileged: bool,
    /// Reject what is not aligned even where the machine allows it
    #[arg(long)]
    strict_alignment: bool,
    /// Write the assembly text with rejected programs mended as their proved suggestions say
    #[arg(long, value_name = "FILE")]
    fix_asm: Option<PathBuf>,
    /// Write a page that shows one program's verification step by step, to be opened in a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    effort: EffortArgs,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// Comma-separated values, a line for each program and kernel
    Csv,
    /// SARIF 2.1.0, one document
    Sarif,
    /// Annotations of GitHub's workflows
    Github,
}

/// A file that cannot be judged; documented in `docs/json.md`.
#[derive(Serialize)]
pub struct FileError {
    object: String,
    error: String,
}

impl Args {
    /// The form for other programs that is asked for, if one is.
    fn machine(&self) -> Option<ForTools> {
        match self.format? {
            Format::Sarif => Some(ForTools::Sarif),
            Format::Github => Some(ForTools::Github),
            Format::Text | Format::Csv => None,
        }
    }

    fn options(&self) -> Options {
        Options { privileged: !self.unprivileged, strict_alignment: self.strict_alignment, ..Options::default() }
    }
}

/// What has come of the files so far.
struct SoFar {
    efforts: Vec<Effort>,
    report: Report,
}

/// Reports that nothing could be done with a file; the other files are still looked at, unless results cannot be written.
pub fn unreadable(path: &Path, error: anyhow::Error, json: bool) -> Result<End> {
    if out::is_of_output(&error) {
        return Err(error);
    }
    if json {
        out::json(&FileError { object: files::name(path), error: out::text_of(&error) })?;
    }
    out::error(&error);
    if let Some(help) = loader::help(&out::text_of(&error), None) {
        note!("  help: {help}");
    }
    Ok(Failure::end_of(&error))
}

/// Verifies every file; the worst end counts.
pub fn run(args: &Args) -> Result<End> {
    files::check(
        &args.files.iter().map(|f| Some(f.as_path())).collect::<Vec<_>>(),
        &[args.html.as_deref(), args.fix_asm.as_deref()],
    )?;
    if args.html.is_some() && args.files.len() > 1 {
        bail!("--html shows one program: give one file");
    }
    args.effort.check(args.json)?;
    if args.fix_asm.is_some() && args.files.len() != 1 {
        bail!("--fix-asm writes one mended file: name one file to verify");
    }
    if args.requirements {
        let kernels = args.kernel.several_or_all()?;
        let mut worst = End::Good;
        for path in &args.files {
            let end = requirements::file(path, &kernels, &args.types, &args.selection, args.options(), args.json);
            worst = worst.max(end.or_else(|e| unreadable(path, e, args.json))?);
        }
        return Ok(worst);
    }
    if let Some(kernels) = args.kernel.several()? {
        return for_kernels(args, &kernels);
    }
    if args.format == Some(Format::Csv) {
        bail!("--format csv is for the answers of several kernels: name them with --kernel, such as --kernel all");
    }
    let host = args.kernel.host()?;
    let labels = Labels::new(&args.files);
    let mut so_far = SoFar { efforts: Vec::new(), report: Report::new(args.machine()) };
    if so_far.report.is_for_machines() && (args.log_level != 0 || args.effort.is_requested()) {
        bail!("--format sarif and github print findings alone");
    }
    let mut worst = End::Good;
    for path in &args.files {
        let programs = load(path, &host, &args.types, &args.selection).and_then(|prepared| {
            let picked = args.selection.pick(&prepared.object).with_context(|| files::name(path))?;
            Ok((prepared, picked))
        });
        let end = match programs {
            Ok((prepared, picked)) => {
                so_far.report.file(path, None)?;
                file(args, &host, path, &labels, &prepared, &picked, &mut so_far)?
            }
            Err(e) => {
                so_far.report.file(path, Some(&e))?;
                unreadable(path, e, args.json)?
            }
        };
        worst = worst.max(end);
    }
    if !args.json {
        so_far.report.end()?;
    }
    args.effort.write(&so_far.efforts)?;
    Ok(worst)
}

/// Verifies every file for several kernels.
fn for_kernels(args: &Args, kernels: &[Arc<Profile>]) -> Result<End> {
    if args.log_level != 0 {
        bail!("--log-level prints the log of one kernel; --kernel names several");
    }
    if args.html.is_some() {
        bail!("--html shows the verification for one kernel; --kernel names several");
    }
    if args.effort.is_requested() {
        bail!("the effort of a verification is shown for one kernel; --kernel names several");
    }
    let form = match args.format {
        _ if args.json => Form::Json,
        Some(Format::Csv) => Form::Csv,
        Some(Format::Text) | None => Form::Text,
        Some(Format::Sarif | Format::Github) => Form::Machine,
    };
    let mut report = Report::new(args.machine());
    if form == Form::Csv {
        say!("{}", matrix::CSV_HEAD)?;
    }
    let mut worst = End::Good;
    for (number, path) in args.files.iter().enumerate() {
        if form == Form::Text && number > 0 {
            say!("")?;
        }
        let end = matrix::file(path, kernels, &args.types, &args.selection, args.options(), form, &mut report);
        if form == Form::Machine {
            report.file(path, end.as_ref().err())?;
        }
        worst = worst.max(end.or_else(|e| unreadable(path, e, args.json))?);
    }
    if form == Form::Machine {
        report.end()?;
    }
    Ok(worst)
}

fn file(
    args: &Args,
    host: &Host,
    path: &Path,
    labels: &Labels,
    prepared: &Prepared,
    picked: &[usize],
    so_far: &mut SoFar,
) -> Result<End> {
    let options = args.options();
    let mut worst = End::Good;
    let (mut results, mut owners) = (Vec::new(), Owners::default());
    let (mut repairs, mut verdicts) = (Vec::new(), Vec::new());
    let sources = Sources::new(|name| files::source_of(path, name));
    for &index in picked {
        let program = &prepared.object.programs[index];
        // What a loader loads only when it is asked to is judged on its own.
        let mut alone = Owners::default();
        let owners = if program.autoload { &mut owners } else { &mut alone };
        let mut log = KernelLog { level: args.log_level, ..KernelLog::default() };
        let mut recorder = args.effort.is_requested().then(Recorder::default);
        let (timed, trace) = match &mut recorder {
            Some(recorder) => (judge(host, prepared, index, options, owners, recorder), None),
            None if args.log_level == 0 => judge_recorded(host, prepared, index, options, owners),
            None => (judge(host, prepared, index, options, owners, &mut log), None),
        };
        if let Some(recorder) = recorder {
            let reason = match &timed.judged.outcome {
                Outcome::Rejected { rejection, .. } => Some(&rejection.reason),
                _ => None,
            };
            so_far.efforts.push(recorder.effort(&prepared.object, program, reason));
        }
        worst = worst.max(End::of(timed.judged.status()));
        let asked = Asked { kernel: &host.model, prepared, program: index, options, sources: &sources };
        let (diagnosis, repair) = timed.judged.mended(&asked, trace.as_ref()).unzip();
        let is_loadable = timed.judged.status() != Status::Unloadable;
        let doubt = is_loadable.then(|| host.doubt(program)).flatten();
        if let Some(repair) = repair.flatten() {
            repairs.push((index, repair));
        }
        if args.json {
            let notes = doubt.into_iter().collect();
            results.push(ProgramResult { diagnosis, notes, ..timed.result(program) });
            verdicts.push((index, timed.judged));
            continue;
        }
        if so_far.report.is_for_machines() {
            so_far.report.program(path, program, &timed, diagnosis)?;
            verdicts.push((index, timed.judged));
            continue;
        }
        so_far.report.program(path, program, &timed, None)?;
        out::results().write_all(log.text.as_bytes()).context(out::STDOUT)?;
        show(&timed, &format!("{}{}", labels.of(path), head(program)))?;
        if timed.judged.status() == Status::Unloadable {
            let why = timed.judged.message().unwrap_or_default();
            let named = || loader::help(&why, host.model.btf().map(|b| &**b));
            let help = type_help(program).or_else(|| map_help(&prepared.object, &why)).or_else(named);
            help.iter().try_for_each(|help| say!("  help: {help}"))?;
        } else if let Some(doubt) = doubt {
            say!("  note: {doubt}")?;
        }
        if let Some(diagnosis) = diagnosis {
            say!("{}", terminal(&prepared.object, index, &diagnosis, false))?;
        }
        verdicts.push((index, timed.judged));
    }
    if let Some(to) = &args.fix_asm {
        write_mended(path, to, &repairs)?;
    }
    if let Some(page) = &args.html {
        write_page(host, prepared, &verdicts, options, page)?;
    }
    if args.json {
        out::json(&FileResult::of(path, prepared, results))?;
    } else if picked.is_empty() {
        note!("{}: no programs", files::name(path));
    }
    Ok(worst)
}

/// Writes the text of an object whose rejected programs were mended as their proved suggestions say.
fn write_mended(path: &Path, to: &Path, repairs: &[(usize, Repair)]) -> Result<()> {
    let mut object = open(path)?;
    if repairs.is_empty() {
        note!("{}: nothing was mended", files::name(path));
    }
    for (index, repair) in repairs {
        object = repair.apply(&object, *index).context("the program cannot be mended in this form")?;
    }
    let all: Vec<usize> = (0..object.programs.len()).collect();
    let text = ebpfkit_asm::listing(&object, &all, Style { declarations: true, ..Style::default() });
    files::write(to, text.as_bytes())
}

/// Writes the page of one program's verification.
fn write_page(
    host: &Host,
    prepared: &Prepared,
    verdicts: &[(usize, Judged)],
    options: Options,
    page: &Path,
) -> Result<()> {
    let index = debug::choose(verdicts.iter().map(|(index, judged)| (*index, judged.status())));
    let Some(index) = index else { bail!("no program to show") };
    let judged = verdicts.iter().find(|v| v.0 == index).map(|v| &v.1);
    let exploration = debug::record(host, prepared, index, options, judged)?;
    files::write(page, ebpfkit_explain::explore::page(&exploration).as_bytes())?;
    if verdicts.len() > 1 {
        let name = &prepared.object.programs[index].name;
        note!("{} {} shows {name}; -n NAME chooses another program", paint::warning("note:"), files::output_name(page));
    }
    Ok(())
}

/// Prints one program's verdict for people.
fn show(timed: &Timed, head: &str) -> Result<()> {
    let message = timed.judged.message().unwrap_or_default();
    match &timed.judged.outcome {
        Outcome::Accepted(_) => say!(
            "{} {head}: {} instructions processed, {} states, {}",
            paint::good("accepted"),
            timed.judged.insns_processed,
            timed.judged.states,
            duration(timed.ns)
        ),
        Outcome::Rejected { .. } => say!("{} {head}", paint::error("rejected")),
        Outcome::Unsupported { at, .. } => {
            say!("{} {head}: {message} (instruction {at})", paint::warning("unsupported"))
        }
        Outcome::Unloadable(_) => say!("{} {head}: {message}", paint::error("unloadable")),
    }
}
