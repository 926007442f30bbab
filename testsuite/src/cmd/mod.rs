//! One file for each command.

pub mod bench;
pub mod captures;
pub mod engines;
pub mod flips;
pub mod helpers;
pub mod loader_check;
pub mod log_diff;
pub mod maps;
pub mod mutate;
pub mod retvals;
pub mod run_check;
pub mod sandbox;
pub mod soundness;
pub mod test_runs;
pub mod unpriv;
pub mod verdicts;

use anyhow::{Context, Result};
use ebpfkit_testsuite::generate::{Config, Construct, Constructs, Kfuncs};
use ebpfkit_verifier::KernelModel;
use std::ops::Range;
use std::path::PathBuf;

/// How much is tried. Commands with seeds far apart can run side by side, and their counts add up.
#[derive(clap::Args)]
pub struct SeedArgs {
    /// Cases that are tried
    #[arg(short, long, default_value_t = 1000)]
    count: u64,
    /// First seed; the others follow
    #[arg(short, long, default_value_t = 1)]
    seed: u64,
}

impl SeedArgs {
    /// The seeds, one for each case.
    pub fn all(&self) -> Range<u64> {
        self.seed..self.seed + self.count
    }
}

/// Objects whose programs are tried.
#[derive(clap::Args)]
pub struct ObjectArgs {
    /// Objects, or folders of them
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Print each difference
    #[arg(short, long)]
    list: bool,
}

impl ObjectArgs {
    /// The objects that are named, and those in the folders that are, in order.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in &self.paths {
            if path.is_dir() {
                let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
                files.extend(entries.filter_map(Result::ok).map(|e| e.path()));
            } else {
                files.push(path.clone());
            }
        }
        files.retain(|f| f.extension().is_some_and(|e| e == "o"));
        files.sort();
        Ok(files)
    }
}

/// What random programs may be made of.
#[derive(clap::Args)]
pub struct ConstructArgs {
    /// Besides arithmetic, stack, packets, maps, branches, loops and functions: these alone, instead of all
    #[arg(long, value_delimiter = ',', value_name = "CONSTRUCTS", default_values_t = Construct::ALL)]
    constructs: Vec<Construct>,
    /// How many of them one program has, at most
    #[arg(long, default_value_t = Config::DEFAULT.most)]
    most: u32,
}

impl ConstructArgs {
    /// With the kernel's functions, where it has them.
    pub fn config(&self, model: &KernelModel) -> Config {
        let kfuncs = model.btf().and_then(|btf| Kfuncs::of(btf));
        Config { constructs: Constructs::of(&self.constructs), most: self.most, kfuncs, ..Config::DEFAULT }
    }
}
