//! `cfg`: control flow as DOT, or as a picture.

use crate::cmd::out_text::put;
use crate::cmd::{Selection, open};
use crate::end::End;
use crate::files;
use anyhow::{Context, Result, bail};
use ebpfkit_explain::cfg::{Program, dot, svg};
use ebpfkit_explain::source::line_of;
use ebpfkit_object::Object;
use ebpfkit_object::counts::{Counts, ProgramCounts};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Arguments of `cfg`.
#[derive(clap::Args)]
pub struct Args {
    /// Object file, or assembly text; `-` reads standard input
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
    /// Draw a picture instead of writing DOT: functions, loops, callbacks and source lines
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    svg: Option<PathBuf>,
    /// Say in the picture how often runs have gone each way: files that `ebpfkit run --coverage=FILE.json` has written
    #[arg(long, value_name = "FILE", requires = "svg")]
    coverage: Vec<PathBuf>,
}

/// What runs of an object's programs have executed, as a file keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executed {
    programs: Vec<ProgramExecuted>,
}

/// What one program has executed, by slot.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramExecuted {
    name: String,
    executed: Vec<u64>,
    jumped: Vec<u64>,
}

impl Executed {
    /// What the programs of an object have executed; those that never ran are there with zeros.
    pub fn of(programs: &[&ebpfkit_object::Program], counts: &Counts) -> Self {
        let one = |program: &&ebpfkit_object::Program| {
            let zeros = || vec![0; program.insns.len()];
            let (executed, jumped) = match counts.of(&program.name) {
                Some(c) => (c.executed.clone(), c.jumped.clone()),
                None => (zeros(), zeros()),
            };
            ProgramExecuted { name: program.name.clone(), executed, jumped }
        };
        Self { programs: programs.iter().map(one).collect() }
    }

    /// Adds what other runs have executed.
    fn add(&mut self, other: Self) -> Result<()> {
        for program in other.programs {
            match self.programs.iter_mut().find(|p| p.name == program.name) {
                Some(known) => {
                    if known.executed.len() != program.executed.len() {
                        bail!("{}: the files are about different programs", program.name);
                    }
                    for (to, more) in [(&mut known.executed, program.executed), (&mut known.jumped, program.jumped)] {
                        to.iter_mut().zip(more).for_each(|(n, more)| *n = n.saturating_add(more));
                    }
                }
                None => self.programs.push(program),
            }
        }
        Ok(())
    }

    /// The counts of programs that an object has as they were run; a program that was changed before is left out.
    pub fn counts(self, object: &Object) -> Counts {
        let same = |p: &ProgramExecuted| {
            object.programs.iter().any(|own| own.name == p.name && own.insns.len() == p.executed.len())
        };
        let programs = self.programs.into_iter().filter(same).map(|p| ProgramCounts {
            name: p.name,
            executed: p.executed,
            jumped: p.jumped,
            time_ns: Vec::new(),
        });
        Counts { programs: programs.collect(), calls: Vec::new() }
    }

    /// Reads what `run --coverage=FILE.json` has written.
    pub fn read(path: &Path) -> Result<Self> {
        let read: Self = serde_json::from_str(&files::read_text(path)?).with_context(|| files::name(path))?;
        match read.programs.iter().find(|p| p.executed.len() != p.jumped.len()) {
            Some(p) => bail!("{}: {}: `executed` and `jumped` have different lengths", files::name(path), p.name),
            None => Ok(read),
        }
    }
}

/// Programs as they are drawn.
fn programs<'o>(
    object: &'o Object,
    picked: &[&'o ebpfkit_object::Program],
    executed: Option<&Executed>,
) -> Vec<Program<'o>> {
    let one = |program: &&'o ebpfkit_object::Program| {
        let number = object.programs.iter().position(|p| std::ptr::eq(p, *program)).unwrap_or_default();
        let functions = ebpfkit_asm::functions(object, number);
        let line = |slot: usize| {
            let line = line_of(program, object.btf.as_deref()?, slot)?;
            Some((slot, (format!("{}:{}", line.file, line.line), line.text)))
        };
        let found = |e: &Executed| {
            let own = e.programs.iter().find(|p| p.name == program.name);
            own.map_or_else(|| (Vec::new(), Vec::new()), |p| (p.executed.clone(), p.jumped.clone()))
        };
        Program {
            title: super::head(program),
            insns: &program.insns,
            functions: functions.into_iter().map(|f| (f.name, f.lines)).collect(),
            lines: program.line_info.iter().filter_map(|l| line(l.insn as usize)).collect(),
            executed: executed.map(found),
        }
    };
    picked.iter().map(one).collect()
}

/// One picture of programs of an object.
pub fn picture(object: &Object, picked: &[&ebpfkit_object::Program], executed: Option<&Executed>) -> String {
    svg(&object.name, &programs(object, picked, executed))
}

/// Prints one digraph of all programs, each in a box with its functions, or draws them.
pub fn run(args: &Args) -> Result<End> {
    let object = open(&args.file)?;
    let picked = args.selection.pick(&object).with_context(|| files::name(&args.file))?;
    let picked: Vec<_> = picked.iter().map(|n| &object.programs[*n]).collect();
    let Some(to) = &args.svg else {
        crate::out::text(&dot(&object.name, &programs(&object, &picked, None)))?;
        return Ok(End::Good);
    };
    let mut executed: Option<Executed> = None;
    for path in &args.coverage {
        let more = Executed::read(path)?;
        for program in &picked {
            let other =
                more.programs.iter().find(|p| p.name == program.name && p.executed.len() != program.insns.len());
            if let Some(other) = other {
                bail!("{}: {} was another program then", files::name(path), other.name);
            }
        }
        match &mut executed {
            Some(all) => all.add(more).with_context(|| files::name(path))?,
            None => executed = Some(more),
        }
    }
    let picture = picture(&object, &picked, executed.as_ref());
    if files::is_standard(to) {
        crate::out::text(&picture)?
    } else {
        put(to, picture.as_bytes())?
    }
    Ok(End::Good)
}
