//! One file for each command.

pub mod bench;
pub mod captures;
pub mod engines;
pub mod helpers;
pub mod loader_check;
pub mod log_diff;
pub mod mutate;
pub mod retvals;
pub mod run_check;
pub mod sandbox;
pub mod soundness;
pub mod unpriv;
pub mod verdicts;

use ebpfkit_testsuite::generate::{Config, Construct, Constructs, Kfuncs};
use ebpfkit_verifier::KernelModel;

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
