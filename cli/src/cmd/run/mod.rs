//! `run`: programs on packets, contexts and other input, with what they leave behind.

pub mod engine;
mod events;
mod in_kernel;
mod limits;
mod load;
mod maps;
mod packets;
mod print;
mod recorded;
mod recording;
mod single;
mod world;

pub use events::difference;

use crate::cmd::{Selection, TypeArgs, load as open};
use crate::end::{End, Failure};
use crate::files;
use crate::host::{Host, KernelArgs};
use crate::out;
pub use recorded::{Single, record};
pub use recording::coverage_text;

use anyhow::{Result, bail};
use ebpfkit_object::Prepared;
use ebpfkit_vm::World;
use ebpfkit_vm::show::Entries;
use engine::EngineKind;
use load::Loaded;
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct Args {
    /// Object file, or assembly text; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) types: TypeArgs,
    #[command(flatten)]
    pub(super) kernel: KernelArgs,
    /// Run once for each packet of a capture (pcap or pcapng, also gzip or zstd; `-` for standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data_in", "data_out", "ctx_out", "repeat"])]
    packet: Option<PathBuf>,
    /// Run the programs that each event of a file reaches: JSON lines or YAML (docs/events.md; `-` for standard input)
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["packet", "data_in", "data_out", "ctx_in", "ctx_out", "repeat"])]
    events: Option<PathBuf>,
    /// Print an example of an event for each program, made from its types, instead of running any
    #[arg(long, conflicts_with_all = ["packet", "data_in", "data_out", "ctx_in", "ctx_out", "repeat", "events"])]
    example_events: bool,
    /// Compare what the events print with a file; exit code 1 where it differs
    #[arg(long, value_name = "FILE", requires = "events")]
    expect: Option<PathBuf>,
    /// Write the file of `--expect` anew
    #[arg(long, requires = "expect")]
    bless: bool,
    /// Write the packets that pass, as the program leaves them; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Write the packets that are dropped instead
    #[arg(long, requires = "write", conflicts_with = "write_if")]
    write_dropped: bool,
    /// Write the packets for which the program returns one of these values instead: XDP_TX, 3
    #[arg(long, value_name = "VALUE", value_delimiter = ',', requires = "write")]
    write_if: Vec<String>,
    /// Run packets on so many CPUs at a time, those of a flow on one; per-CPU maps have a value for each
    #[arg(long, value_name = "N", default_value_t = 1, requires = "packet",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Run each packet in the running kernel too and show what it does otherwise; exit code 1 then. Both get packets as
    /// BPF_PROG_TEST_RUN gives them: socket filters see what follows the Ethernet header
    #[arg(long, requires = "packet")]
    compare: bool,
    /// Leave out packets that were cut when they were captured
    #[arg(long, requires = "packet")]
    skip_cut: bool,
    /// Packet bytes of a single run
    #[arg(long, value_name = "FILE")]
    data_in: Option<PathBuf>,
    /// Where the packet goes after the run
    #[arg(long, value_name = "FILE", requires = "data_in")]
    data_out: Option<PathBuf>,
    /// Context bytes, as user space sees the context's struct
    #[arg(long, value_name = "FILE")]
    ctx_in: Option<PathBuf>,
    /// Where the context goes after the run
    #[arg(long, value_name = "FILE")]
    ctx_out: Option<PathBuf>,
    /// Run this many times and give the average duration, in processor time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// What runs the program
    #[arg(long, value_enum, default_value_t = EngineKind::Interp)]
    engine: EngineKind,
    /// Check every access although the program is verified
    #[arg(long)]
    checked: bool,
    /// Run a program that the verifier rejects or cannot judge, with checks
    #[arg(long)]
    unverified: bool,
    /// Instructions that one run may execute
    #[arg(long, value_name = "N", default_value_t = ebpfkit_vm::DEFAULT_BUDGET)]
    budget: u64,
    /// End after so many seconds, with what there is by then
    #[arg(long, value_name = "SECONDS", value_parser = limits::seconds)]
    timeout: Option<std::time::Duration>,
    /// JSON file that sets clock, random seed, CPUs, task, devices, routes and neighbours (docs/world.md)
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// JSON file that sets map entries and global variables before the run, as `-j` prints them
    #[arg(long, value_name = "FILE")]
    maps: Option<PathBuf>,
    #[command(flatten)]
    recording: recording::RecordingArgs,
    /// One line for each packet
    #[arg(short, long, conflicts_with = "json")]
    verbose: bool,
    /// JSON: one object for a single run; one a packet and one at the end for a capture
    #[arg(short, long)]
    json: bool,
    /// Show no map contents
    #[arg(long)]
    no_maps: bool,
    /// Entries shown of each map
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "no_maps")]
    map_entries: usize,
}

/// An error as JSON; documented in `docs/json.md`.
#[derive(Serialize)]
struct JsonError {
    error: String,
}

/// Loads, verifies and runs. With JSON an error is a record too.
pub fn run(args: &Args) -> Result<End> {
    let result = run_file(args);
    if let Err(e) = &result
        && args.json
    {
        out::json(&JsonError { error: out::text_of(e) })?;
    }
    result
}

/// A program that was chosen to be run, with what it runs in.
struct Chosen {
    host: Host,
    world: World,
    prepared: Prepared,
    index: usize,
    entries: Entries,
}

impl Chosen {
    /// Chooses the one program that is meant, and sets the variables that the file of maps has for it.
    fn of(args: &Args, host: Host, mut world: World, mut prepared: Prepared) -> Result<Self> {
        let index = load::choose(args, &prepared)?;
        events::check_input(args, &host, &prepared, index)?;
        if args.engine == EngineKind::Kernel || args.compare {
            world.cpus = ebpfkit_kernel::machine::possible_cpus();
        }
        let jobs = u32::from(args.jobs);
        if jobs > world.cpus {
            if args.world.is_some() {
                bail!("--jobs {jobs}: the world has {} CPUs; set `cpus` in the file of --world", world.cpus);
            }
            world.cpus = jobs;
        }
        // Variables are set before verification, as the verifier knows the values of constants.
        let entries = maps::read(args.maps.as_deref(), &mut prepared.object, world.cpus)?;
        Ok(Self { host, world, prepared, index, entries })
    }

    /// Verifies and loads it, with its maps set. The inner error is how the command ends.
    fn load(&self, args: &Args) -> Result<Result<Loaded, End>> {
        let loaded = load::load(args, &self.host, &self.prepared, self.index, &self.world)?;
        if let Ok(loaded) = &loaded {
            maps::set(&self.entries, &self.prepared, &loaded.instance)?;
        }
        Ok(loaded)
    }
}

fn run_file(args: &Args) -> Result<End> {
    args.check()?;
    let host = args.kernel.host()?;
    let world = world::read(args.world.as_deref())?;
    if let Some(path) = &args.events {
        return events::run(args, &host, world, path);
    }
    let prepared = open(&args.file, &host, &args.types, &args.selection)?;
    if args.example_events {
        return events::examples(args, &host, &prepared);
    }
    let chosen = Chosen::of(args, host, world, prepared)?;
    if args.engine == EngineKind::Kernel {
        return match &args.packet {
            Some(path) => packets::run_in_kernel(args, &chosen, None, path),
            None => in_kernel::run(args, &chosen),
        };
    }
    let loaded = match chosen.load(args)? {
        Ok(loaded) => loaded,
        Err(end) => return Ok(end),
    };
    match &args.packet {
        Some(path) if args.compare => packets::run_in_kernel(args, &chosen, Some(loaded), path),
        Some(path) => packets::run(args, &chosen.prepared, loaded, chosen.world, path),
        None => single::run(args, &chosen.prepared, loaded, chosen.world),
    }
}

impl Args {
    /// Refuses options of runs where no run is wanted.
    pub(super) fn check_verification(&self) -> Result<()> {
        let refused = [
            (self.packet.is_some(), "--packet"),
            (self.data_in.is_some(), "--data-in"),
            (self.ctx_in.is_some(), "--ctx-in"),
            (self.world.is_some(), "--world"),
            (self.maps.is_some(), "--maps"),
            (self.unverified, "--unverified"),
        ];
        match refused.iter().find(|(present, _)| *present) {
            Some((_, option)) => bail!("{option} is for runs: add --run"),
            None => Ok(()),
        }
    }

    /// Refuses what has no effect, and outputs over inputs.
    fn check(&self) -> Result<()> {
        if self.engine == EngineKind::Kernel {
            let refused = [
                (self.compare, "--compare"),
                (self.jobs > 1, "--jobs"),
                (self.events.is_some(), "--events"),
                (self.checked, "--checked"),
                (self.unverified, "--unverified"),
                (self.world.is_some(), "--world"),
                (self.kernel.kernel.is_some(), "--kernel"),
                (self.kernel.btf.is_some(), "--btf"),
                (self.budget != ebpfkit_vm::DEFAULT_BUDGET, "--budget"),
                (self.timeout.is_some() && self.packet.is_none(), "--timeout"),
            ];
            if let Some((_, option)) = refused.iter().find(|(present, _)| *present) {
                bail!("{option} has no effect on the running kernel (--engine kernel)");
            }
        }
        if self.compare {
            let refused = [
                (self.jobs > 1, "--jobs"),
                (self.kernel.kernel.is_some(), "--kernel"),
                (self.kernel.btf.is_some(), "--btf"),
                (self.recording.is_asked(), "--coverage and --profile"),
            ];
            if let Some((_, option)) = refused.iter().find(|(present, _)| *present) {
                bail!("--compare runs packets one by one, here and in the running kernel; leave out {option}");
            }
        }
        if self.jobs > 1 && self.recording.is_asked() {
            bail!("--coverage and --profile count what one CPU executes; leave out --jobs");
        }
        if self.packet.is_none() {
            let refused = [(self.write.is_some(), "--write"), (self.verbose, "--verbose")];
            if let Some((_, option)) = refused.iter().find(|(present, _)| *present) {
                bail!("{option} has no effect without --packet");
            }
        }
        let file = Some(self.file.clone());
        let inputs = [&file, &self.packet, &self.events, &self.data_in, &self.ctx_in, &self.world, &self.maps];
        let outputs = [&self.write, &self.data_out, &self.ctx_out].map(|p| p.as_deref());
        self.recording.check(self.engine, self.json)?;
        files::check(&inputs.map(|p| p.as_deref()), &[&outputs[..], &self.recording.outputs()].concat())
    }
}

/// A failure of bpf(2), or of what it needs.
fn no_kernel(error: impl ToString) -> anyhow::Error {
    Failure::unsupported(error)
}
