//! Comparisons that are too long for a test: against the running kernel, against recorded verdicts, between engines.
#![deny(missing_docs)]

mod cmd;

use clap::{Parser, Subcommand};

/// Compare ebpfkit with kernels and with itself.
#[derive(Parser)]
#[command(name = "ebpfkit-testsuite")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Time the programs of bench/ in every engine and in the running kernel
    Bench(cmd::bench::Args),
    /// Write the examples' captures anew
    Captures(cmd::captures::Args),
    /// Run random programs in every engine and in the running kernel
    Engines(cmd::engines::Args),
    /// Count the places where neighbouring kernels answer differently, and those that are explained
    Flips(cmd::flips::Args),
    /// Call helpers and kernel functions from unverified programs with arguments of every kind
    Helpers(cmd::helpers::Args),
    /// Open every object of a folder as libbpf does, load it, and compare with the recorded answers
    LoaderCheck(cmd::loader_check::Args),
    /// Compare the logs of walks with those that the kernel wrote
    LogDiff(cmd::log_diff::Args),
    /// Try random operations on maps of every type, here and in the running kernel
    Maps(cmd::maps::Args),
    /// Give mutated examples to everything that reads files
    Mutate(cmd::mutate::Args),
    /// Run random accepted programs and compare every step with what was foreseen
    Soundness(cmd::soundness::Args),
    /// Hold what programs return against what their types say of it, here and in the running kernel
    Retvals(cmd::retvals::Args),
    /// Run programs of objects on packets here and in the running kernel
    RunCheck(cmd::run_check::Args),
    /// Try to leave the memory of unverified programs, and run random ones, in both engines that check
    Sandbox(cmd::sandbox::Args),
    /// Test-run programs of every type on random packets and contexts, here and in the running kernel
    TestRuns(cmd::test_runs::Args),
    /// Hold verdicts for users without capabilities against what the kernel's own tests expect
    Unpriv(cmd::unpriv::Args),
    /// Judge random programs here and in the running kernel
    Verdicts(cmd::verdicts::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Bench(a) => cmd::bench::run(&a),
        Command::Captures(a) => cmd::captures::run(&a),
        Command::Engines(a) => cmd::engines::run(&a),
        Command::Flips(a) => cmd::flips::run(&a),
        Command::Helpers(a) => cmd::helpers::run(&a),
        Command::LoaderCheck(a) => cmd::loader_check::run(&a),
        Command::LogDiff(a) => cmd::log_diff::run(&a),
        Command::Maps(a) => cmd::maps::run(&a),
        Command::Mutate(a) => cmd::mutate::run(&a),
        Command::Soundness(a) => cmd::soundness::run(&a),
        Command::Retvals(a) => cmd::retvals::run(&a),
        Command::RunCheck(a) => cmd::run_check::run(&a),
        Command::Sandbox(a) => cmd::sandbox::run(&a),
        Command::TestRuns(a) => cmd::test_runs::run(&a),
        Command::Unpriv(a) => cmd::unpriv::run(&a),
        Command::Verdicts(a) => cmd::verdicts::run(&a),
    }
}
