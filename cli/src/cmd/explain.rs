//! `explain`: what a code means, and what a kernel's own log says.

use crate::cmd::{Selection, TypeArgs, load};
use crate::end::{End, Failure};
use crate::host::{Host, KernelArgs};
use crate::judge::judge;
use crate::out::{self, say};
use crate::{files, paint};
use anyhow::{Result, bail};
use ebpfkit_explain::diagnosis::Diagnosis;
use ebpfkit_explain::files::Sources;
use ebpfkit_explain::foreign::{self, Agreement, Log, Said};
use ebpfkit_explain::judge::Asked;
use ebpfkit_explain::{pages, render};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{Options, Owners};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `explain`.
#[derive(clap::Args)]
pub struct Args {
    /// Code of a rejection, such as EBPF0201, or a file that has a kernel's log in it [default: standard input]
    #[arg(value_name = "CODE|FILE")]
    what: Option<PathBuf>,
    /// List the codes
    #[arg(long, conflicts_with = "what")]
    list: bool,
    /// Object of which the log is: verify it, and say whether the log agrees
    #[arg(long, value_name = "FILE")]
    object: Option<PathBuf>,
    #[command(flatten)]
    kernel: KernelArgs,
    /// Print JSON
    #[arg(short, long)]
    json: bool,
}

/// A page; documented in `docs/json.md`.
#[derive(Serialize)]
struct PageResult {
    code: &'static str,
    title: &'static str,
    /// The whole page as Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'static str>,
}

/// What one log says; documented in `docs/json.md`.
#[derive(Serialize)]
struct LogResult<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<&'a str>,
    log: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<&'a Diagnosis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<ObjectResult>,
}

/// How an object goes with a log.
#[derive(Serialize)]
struct ObjectResult {
    program: String,
    agrees: bool,
    text: String,
    /// The diagnosis for a terminal.
    #[serde(skip)]
    diagnosis: Option<String>,
}

/// Columns of a page.
const WIDTH: usize = 100;

/// Explains a code or a log, or lists the codes.
pub fn run(args: &Args) -> Result<End> {
    if args.list {
        return list(args.json);
    }
    let text = args.what.as_deref().and_then(Path::to_str).unwrap_or_default();
    if let Some(page) = pages::find(text) {
        return show(page, args.json);
    }
    let is_code =
        text.len() > 4 && text[..4].eq_ignore_ascii_case("ebpf") && text[4..].bytes().all(|b| b.is_ascii_digit());
    if is_code && !Path::new(text).exists() {
        bail!("there is no code `{text}`; `ebpfkit explain --list` shows those there are");
    }
    logs(args)
}

fn list(json: bool) -> Result<End> {
    for page in pages::all() {
        if json {
            out::json(&PageResult { code: page.code, title: page.title(), page: None })?;
        } else {
            say!("{}  {}", page.code, page.title())?;
        }
    }
    Ok(End::Good)
}

fn show(page: pages::Page, json: bool) -> Result<End> {
    if json {
        out::json(&PageResult { code: page.code, title: page.title(), page: Some(page.text) })?;
    } else {
        say!("{}", page.render(WIDTH, paint::heading).trim_end())?;
    }
    Ok(End::Good)
}

fn logs(args: &Args) -> Result<End> {
    let path = args.what.clone().unwrap_or_else(|| PathBuf::from("-"));
    files::check(&[Some(&path), args.object.as_deref()], &[])?;
    // What others print need not be UTF-8 as a whole.
    let text = String::from_utf8_lossy(&files::read(&path)?).into_owned();
    let logs = foreign::read(&text);
    if logs.is_empty() {
        bail!("{}: no log of a verifier is in it", files::name(&path));
    }
    let object = args.object.as_deref().map(|file| Ok::<_, anyhow::Error>((file, open(args, file)?))).transpose()?;
    let mut worst = End::Good;
    for (log, said) in &logs {
        let compared = object.as_ref().and_then(|(file, (host, prepared))| compare(file, host, prepared, log, said));
        if args.json {
            let (name, diagnosis, messages) = match said {
                Said::Accepted => ("accepted", None, None),
                Said::Rejected(d) => ("rejected", Some(&**d), None),
                Said::Unknown(messages) => ("unknown", None, Some(&messages[..])),
                Said::Cut => ("cut", None, None),
            };
            let program = log.program.as_deref();
            out::json(&LogResult { program, log: name, kernel: log.kernel(), diagnosis, messages, object: compared })?;
        } else {
            // What the verifier here says of the object knows its source and its types.
            match compared
                .as_ref()
                .and_then(|c| c.diagnosis.as_ref())
                .filter(|_| compared.as_ref().is_some_and(|c| c.agrees))
            {
                Some(text) => {
                    let head = log.program.as_ref().map(|p| format!(" {p}")).unwrap_or_default();
                    say!("{}{head}", paint::error("rejected"))?;
                    say!("{text}")?;
                }
                None => tell(log, said)?,
            }
            if let Some(compared) = compared {
                let word = if compared.agrees { paint::good("agrees") } else { paint::warning("differs") };
                say!("{word} {}: {}", compared.program, compared.text)?;
            }
        }
        let end = if matches!(said, Said::Unknown(_) | Said::Cut) { End::Unsupported } else { End::Good };
        worst = worst.max(end);
    }
    Ok(worst)
}

/// Prints what a log says.
fn tell(log: &Log, said: &Said) -> Result<()> {
    let head = log.program.as_ref().map(|p| format!(" {p}")).unwrap_or_default();
    match said {
        Said::Accepted => say!("{}{head}: the log ends without a complaint", paint::good("accepted")),
        Said::Rejected(d) => {
            say!("{}{head}", paint::error("rejected"))?;
            say!("{}", render::terminal(d, &|_| render::Lines::new(), false))
        }
        Said::Unknown(messages) => {
            say!("{}{head}: no rejection is known that says so:", paint::warning("unknown"))?;
            messages.iter().try_for_each(|m| say!("  {m}"))
        }
        Said::Cut => say!(
            "{}{head}: the log ends before it says why; give the loader a larger buffer for it",
            paint::warning("cut off")
        ),
    }
}

/// Opens the object that the logs may be of.
fn open(args: &Args, file: &Path) -> Result<(Host, Prepared)> {
    let host = args.kernel.host()?;
    let prepared = load(file, &host, &TypeArgs::default(), &Selection::default())?;
    if prepared.object.programs.is_empty() {
        return Err(Failure::unsupported(format!("{}: no programs", files::name(file))));
    }
    Ok((host, prepared))
}

/// Verifies the program that a log is of: the one of its name, or the one that has its instructions.
fn compare(file: &Path, host: &Host, prepared: &Prepared, log: &Log, said: &Said) -> Option<ObjectResult> {
    let programs = &prepared.object.programs;
    let named = log.program.as_ref().and_then(|n| programs.iter().position(|p| p.name == *n));
    let index = named.or_else(|| programs.iter().position(|p| log.differs(p).is_none())).unwrap_or(0);
    let program = programs.get(index)?;
    let mut owners = Owners::default();
    let timed = judge(host, prepared, index, Options::default(), &mut owners, &mut Silent);
    let (agrees, text) = match foreign::agreement(log, said, program, &timed.judged) {
        Agreement::Same => (true, "the verdict on this object is the same".to_owned()),
        Agreement::OtherProgram { insn, text } => (
            false,
            format!(
                "the log is of another object: at instruction {insn} it has `{text}`, which is not there in this one"
            ),
        ),
        Agreement::OtherVerdict { ours, kernel } => {
            let theirs = kernel.map(|k| format!(", which is of {k}")).unwrap_or_default();
            let version = host.model.version;
            (
                false,
                format!(
                    "the instructions are those of the log{theirs}; by the rules of Linux {version} {ours}. The kernels differ, or the program was loaded by a user with other rights"
                ),
            )
        }
    };
    let options = Options::default();
    let sources = Sources::new(|name| files::source_of(file, name));
    let asked = Asked { kernel: &host.model, prepared, program: index, options, sources: &sources };
    let diagnosis = timed.judged.diagnosis(&asked);
    Some(ObjectResult { program: program.name.clone(), agrees, text, diagnosis })
}
