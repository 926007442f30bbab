//! One file for each command.

pub mod asm;
pub mod cfg;
pub mod check_kernel;
pub mod conformance;
pub mod disasm;
pub mod meta;
pub mod run;
pub mod verify;

use crate::host::Host;
use anyhow::{Context, Result};
use ebpfkit_object::{Object, Prepared};
use std::path::Path;

/// Opens an object file and resolves it for a kernel.
pub fn load(path: &Path, host: &Host) -> Result<Prepared> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let object = Object::open(&name, &bytes).with_context(|| path.display().to_string())?;
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
