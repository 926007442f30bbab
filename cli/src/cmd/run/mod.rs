//! `run`: programs on packets, contexts and other input, with what they leave behind.

mod engine;
mod load;
mod maps;
mod packets;
mod print;
mod single;
mod world;

use crate::End;
use crate::cmd::{Selection, load as open};
use crate::host::KernelArgs;
use anyhow::Result;
use std::path::PathBuf;

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct Args {
    /// Object file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    kernel: KernelArgs,
    /// Run once for each packet of a capture (pcap or pcapng; `-` for standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data_in", "repeat"])]
    packet: Option<PathBuf>,
    /// Write the packets that pass, as the program leaves them
    #[arg(short, long, value_name = "FILE", requires = "packet")]
    write: Option<PathBuf>,
    /// Packet bytes of a single run
    #[arg(long, value_name = "FILE")]
    data_in: Option<PathBuf>,
    /// Where the packet goes after the run
    #[arg(long, value_name = "FILE")]
    data_out: Option<PathBuf>,
    /// Context bytes, as user space sees the context's struct
    #[arg(long, value_name = "FILE")]
    ctx_in: Option<PathBuf>,
    /// Where the context goes after the run
    #[arg(long, value_name = "FILE")]
    ctx_out: Option<PathBuf>,
    /// Run this many times and give the average duration
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// What runs the program
    #[arg(long, value_enum, default_value_t = engine::EngineKind::Interp)]
    engine: engine::EngineKind,
    /// Check every access although the program is verified
    #[arg(long)]
    checked: bool,
    /// Run a program that the verifier rejects or cannot judge, with checks
    #[arg(long)]
    unverified: bool,
    /// JSON file that sets clock, random seed, CPUs, task, devices, routes and neighbours
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// JSON file that sets map entries and global variables before the run, as `-j` prints them
    #[arg(long, value_name = "FILE")]
    maps: Option<PathBuf>,
    /// One line for each packet
    #[arg(short, long)]
    verbose: bool,
    /// JSON: one object for a single run; one a packet and one at the end for a capture
    #[arg(short, long)]
    json: bool,
    /// Show no map contents
    #[arg(long)]
    no_maps: bool,
    /// Entries shown of each map
    #[arg(long, value_name = "N", default_value_t = 100)]
    map_entries: usize,
}

/// Loads, verifies and runs.
pub fn run(args: &Args) -> Result<End> {
    let host = args.kernel.host()?;
    let world = world::read(args.world.as_deref())?;
    let mut prepared = open(&args.file, &host)?;
    let index = load::choose(&args.selection, &prepared)?;
    let kernel = args.engine == engine::EngineKind::Kernel;
    let cpus = if kernel { ebpfkit_kernel::machine::possible_cpus() } else { world.cpus };
    // Variables are set before verification, as the verifier knows the values of constants.
    let entries = maps::read(args.maps.as_deref(), &mut prepared.object, cpus)?;
    if kernel {
        return single::in_kernel(args, &prepared, index, &entries);
    }
    let loaded = match load::load(args, &host, &prepared, index, &world)? {
        Ok(loaded) => loaded,
        Err(end) => return Ok(end),
    };
    maps::set(&entries, &prepared, &loaded.instance)?;
    match &args.packet {
        Some(path) => packets::run(args, &prepared, loaded, world, path),
        None => single::run(args, &prepared, loaded, world),
    }
}
