//! One file for each command.

pub mod asm;
pub mod cfg;
pub mod check_kernel;
pub mod conformance;
pub mod debug;
pub mod disasm;
mod effort;
pub mod explain;
pub mod kernel;
pub mod link;
pub mod matrix;
pub mod meta;
mod out_text;
mod report;
mod requirements;
pub mod run;
pub mod test;
mod types;
pub mod verify;

pub use types::{TypeArgs, map_help};

use crate::files;
use crate::host::Host;
use crate::out::note;
use crate::paint;
use anyhow::{Context, Result, bail};
use ebpfkit_abi::ProgType;
use ebpfkit_object::{Object, Overrides, Prepared, Program, nearest};
use std::path::{Path, PathBuf};

/// Extensions of assembly text.
const TEXT_EXTENSIONS: [&str; 3] = ["s", "asm", "bpf"];
/// How an ELF file begins.
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// A file's name inside what is made from it: without its folders.
pub fn short_name(path: &Path) -> String {
    if files::is_standard(path) {
        return files::name(path);
    }
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Opens an object file, or assembles a text to one; `-` is either, from standard input.
pub fn open(path: &Path) -> Result<Object> {
    let bytes = files::read(path)?;
    let is_text = files::is_standard(path) || path.extension().is_some_and(|e| TEXT_EXTENSIONS.iter().any(|t| e == *t));
    let name = short_name(path);
    if is_text && !bytes.starts_with(ELF_MAGIC) {
        let Ok(text) = String::from_utf8(bytes) else {
            bail!("{}: neither an object nor text in UTF-8", files::name(path));
        };
        return ebpfkit_asm::assemble_object(&name, &text)
            .map_err(|errors| anyhow::anyhow!("{}: not assembled\n{errors}", files::name(path)));
    }
    Object::open(&name, &bytes).with_context(|| files::name(path))
}

/// Opens an object file or a text and resolves it for a kernel.
pub fn load(path: &Path, host: &Host, types: &TypeArgs, selection: &Selection) -> Result<Prepared> {
    let mut object = open(path)?;
    types.apply(&mut object, selection)?;
    for refusal in &object.libbpf_refusals {
        note!("{} {}: libbpf 1.x does not open it: {refusal}", paint::warning("note:"), files::name(path));
    }
    host.prepare(object).with_context(|| files::name(path))
}

/// Which programs of an object are meant.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Selection {
    /// Only programs of this ELF section
    #[arg(short, long, value_name = "NAME")]
    pub section: Option<String>,
    /// Only the program of this name
    #[arg(short = 'n', long = "prog", value_name = "NAME")]
    pub program: Option<String>,
}

impl Selection {
    /// Whether all programs are meant.
    pub fn is_all(&self) -> bool {
        self.section.is_none() && self.program.is_none()
    }

    /// Whether a program is meant.
    pub fn fits(&self, program: &Program) -> bool {
        self.section.as_ref().is_none_or(|s| *s == program.section)
            && self.program.as_ref().is_none_or(|n| *n == program.name)
    }

    /// Indices of the programs meant; an error that lists what there is when nothing fits.
    pub fn pick(&self, object: &Object) -> Result<Vec<usize>> {
        let picked: Vec<usize> = (0..object.programs.len()).filter(|&i| self.fits(&object.programs[i])).collect();
        if picked.is_empty() && !self.is_all() {
            bail!("{}", self.nothing(object));
        }
        Ok(picked)
    }

    /// Says that no program fits, and what was probably meant.
    fn nothing(&self, object: &Object) -> String {
        let programs = &object.programs;
        if programs.is_empty() {
            return "the object has no programs".into();
        }
        let meant = |wrong: &Option<String>, of: fn(&Program) -> &str| {
            let wrong = wrong.as_deref().filter(|w| programs.iter().all(|p| of(p) != *w))?;
            Some((wrong.to_owned(), nearest(wrong, programs.iter().map(of)).map(str::to_owned)))
        };
        let (what, like) = match (meant(&self.program, |p| &p.name), meant(&self.section, |p| &p.section)) {
            (Some((name, like)), _) => (format!("no program `{name}`"), like),
            (None, Some((name, like))) => (format!("no section `{name}`"), like),
            (None, None) => ("no such program in this section".into(), None),
        };
        match like {
            Some(like) => format!("{what}; did you mean `{like}`?"),
            None => format!("{what}; it has {}", listed(programs.iter())),
        }
    }
}

/// Most programs that a message lists.
const MAX_LISTED: usize = 20;

/// Programs with their sections, for messages.
pub fn listed<'p>(programs: impl ExactSizeIterator<Item = &'p Program>) -> String {
    let more = programs.len().saturating_sub(MAX_LISTED);
    let mut text = programs.take(MAX_LISTED).map(head).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

/// How a program is called in messages.
pub fn head(program: &Program) -> String {
    format!("{} ({})", program.name, program.section)
}

/// What can be done about a program whose section says nothing of its type.
pub fn type_help(program: &Program) -> Option<String> {
    if program.prog_type != ProgType::Unspec {
        return None;
    }
    let like = Overrides::of_type(&program.section).err()?.nearest;
    Some(like.map_or_else(
        || "`--type` says what the program is, as its own loader would".into(),
        |like| format!("did you mean the section `{like}`? Otherwise `--type` says what the program is"),
    ))
}

/// The files of a command that takes several: with more than one, each line of its output names its file.
pub struct Labels {
    several: bool,
}

impl Labels {
    /// Labels for these files.
    pub fn new(files: &[PathBuf]) -> Self {
        Self { several: files.len() > 1 }
    }

    /// What comes before a line about a file.
    pub fn of(&self, path: &Path) -> String {
        if self.several { format!("{}: ", files::name(path)) } else { String::new() }
    }
}
