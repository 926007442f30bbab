//! One file for each command.

pub mod asm;
pub mod cfg;
pub mod check_kernel;
pub mod conformance;
pub mod disasm;
pub mod link;
pub mod meta;
pub mod run;
pub mod verify;

use crate::host::Host;
use anyhow::{Context, Result};
use ebpfkit_object::{Object, Prepared};
use std::io::Read;
use std::path::Path;

/// Extensions of assembly text.
const TEXT_EXTENSIONS: [&str; 3] = ["s", "asm", "bpf"];
/// How an ELF file begins.
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// A file's name for messages.
pub fn text_name(path: &Path) -> String {
    if path == Path::new("-") {
        return "<stdin>".into();
    }
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Reads a text; `-` is standard input.
pub fn read_text(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return std::io::read_to_string(std::io::stdin().lock()).context("standard input");
    }
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Opens an object file, or assembles a text to one; `-` is either, from standard input.
pub fn open(path: &Path) -> Result<Object> {
    let stdin = path == Path::new("-");
    let is_text = stdin || path.extension().is_some_and(|e| TEXT_EXTENSIONS.iter().any(|t| e == *t));
    let bytes = if stdin {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("standard input")?;
        bytes
    } else {
        std::fs::read(path).with_context(|| path.display().to_string())?
    };
    let name = text_name(path);
    if is_text && !bytes.starts_with(ELF_MAGIC) {
        let text = String::from_utf8(bytes).with_context(|| path.display().to_string())?;
        return ebpfkit_asm::assemble_object(&name, &text)
            .map_err(|errors| anyhow::anyhow!("{}: not assembled\n{errors}", path.display()));
    }
    Object::open(&name, &bytes).with_context(|| path.display().to_string())
}

/// Opens an object file or a text and resolves it for a kernel.
pub fn load(path: &Path, host: &Host) -> Result<Prepared> {
    let object = open(path)?;
    let target = host.target(&object);
    object.prepare(&target).with_context(|| path.display().to_string())
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
    /// Indices of the programs meant; an error that lists what there is when nothing fits.
    pub fn pick(&self, object: &Object) -> Result<Vec<usize>> {
        let fits = |p: &ebpfkit_object::Program| {
            self.section.as_ref().is_none_or(|s| *s == p.section) && self.program.as_ref().is_none_or(|n| *n == p.name)
        };
        let picked: Vec<usize> = (0..object.programs.len()).filter(|&i| fits(&object.programs[i])).collect();
        if picked.is_empty() && (self.section.is_some() || self.program.is_some()) {
            let have: Vec<String> = object.programs.iter().map(|p| format!("{} ({})", p.name, p.section)).collect();
            anyhow::bail!("{}: no such program; it has {}", object.name, have.join(", "));
        }
        Ok(picked)
    }
}
