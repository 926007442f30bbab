//! Runs on the packets of a capture.

use super::Args;
use super::load::Loaded;
use crate::End;
use anyhow::{Result, bail};
use ebpfkit_object::Prepared;
use ebpfkit_vm::World;
use std::path::Path;

/// Runs the program once for each packet.
pub fn run(args: &Args, prepared: &Prepared, loaded: Loaded, world: World, path: &Path) -> Result<End> {
    let _ = (args, prepared, loaded, world);
    bail!("{}: captures are not supported yet", path.display())
}
