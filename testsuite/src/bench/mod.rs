//! Programs in many engines: ours, other people's, the running kernel, and the same C as native code.
//!
//! Everything runs in one process and in turns, so that what slows the machine slows all of them. Each engine's best
//! batch counts.

pub mod capture;
// What is compared with is no Rust, or takes raw memory.
#[allow(unsafe_code)]
pub mod native;
mod ours;
#[cfg(feature = "peers")]
#[allow(unsafe_code)]
mod peers;
pub mod plot;
pub mod programs;
pub mod scale;
pub mod table;

use anyhow::{Result, bail};
use ebpfkit_kernel::Kernel;
use ebpfkit_verifier::KernelModel;
use programs::Case;
use std::collections::BTreeMap;

/// What runs programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// `BPF_PROG_TEST_RUN`.
    Kernel,
    /// The C, compiled for this machine.
    Native,
    /// Our native code of a verified program, in the tier that its size gives it.
    Jit,
    /// The same in the optimizing tier, however large. Only compiled.
    JitOptimizing,
    /// The same, compiled quickly.
    JitBaseline,
    /// Our native code of a program that nobody has verified.
    JitSandboxed,
    /// Our interpreter of a verified program.
    Interpreter,
    /// Our interpreter, with checks.
    InterpreterChecked,
    /// rbpf's interpreter.
    RbpfInterpreter,
    /// rbpf's own x86 code.
    RbpfX86,
    /// rbpf with Cranelift.
    RbpfCranelift,
    /// solana-sbpf's interpreter.
    SbpfInterpreter,
    /// solana-sbpf's native code.
    SbpfJit,
}

impl Engine {
    /// All, as they are shown.
    pub const ALL: [Self; 13] = [
        Self::Native,
        Self::Kernel,
        Self::Jit,
        Self::JitOptimizing,
        Self::JitBaseline,
        Self::JitSandboxed,
        Self::RbpfX86,
        Self::RbpfCranelift,
        Self::SbpfJit,
        Self::Interpreter,
        Self::InterpreterChecked,
        Self::RbpfInterpreter,
        Self::SbpfInterpreter,
    ];

    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Native => "native, clang -O2",
            Self::Jit => "JIT, verified",
            Self::JitOptimizing => "JIT, verified, optimizing tier",
            Self::JitBaseline => "JIT, verified, baseline tier",
            Self::JitSandboxed => "JIT, sandboxed",
            Self::Interpreter => "interpreter",
            Self::InterpreterChecked => "interpreter, checked",
            Self::RbpfInterpreter => "rbpf, interpreter",
            Self::RbpfX86 => "rbpf, x86 JIT (no checks)",
            Self::RbpfCranelift => "rbpf, Cranelift",
            Self::SbpfInterpreter => "solana-sbpf, interpreter",
            Self::SbpfJit => "solana-sbpf, JIT",
        }
    }

    /// Whether it is one of this project's.
    pub fn is_ours(self) -> bool {
        use Engine as E;
        matches!(
            self,
            E::Jit | E::JitOptimizing | E::JitBaseline | E::JitSandboxed | E::Interpreter | E::InterpreterChecked
        )
    }

    /// Whether it is one of several for compile times alone: small programs run the same code in another.
    pub fn only_compiles(self) -> bool {
        self == Self::JitOptimizing
    }

    /// Whether it translates before it runs.
    pub fn compiles(self) -> bool {
        use Engine as E;
        matches!(
            self,
            E::Jit | E::JitOptimizing | E::JitBaseline | E::JitSandboxed | E::RbpfX86 | E::RbpfCranelift | E::SbpfJit
        )
    }
}

/// Why there is no figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absent {
    /// No `bpf(2)`.
    NoKernel,
    /// No clang, or it could not compile the program.
    NoClang,
    /// Built without the feature `peers`.
    NoPeers,
    /// The engine has no maps and no helpers of the kernel's.
    NoMaps,
    /// The engine takes calls between functions for calls of helpers.
    NoCalls,
    /// The C is not ours, or means nothing without a kernel.
    NoNative,
}

impl Absent {
    /// The footnote.
    pub fn why(self) -> &'static str {
        match self {
            Self::NoKernel => "no bpf(2) on this machine, or no right to use it",
            Self::NoClang => "no clang",
            Self::NoPeers => "built without the feature `peers`",
            Self::NoMaps => "rbpf and solana-sbpf have no maps, contexts or kernel helpers: they take plain memory",
            Self::NoCalls => "rbpf's Cranelift build has no calls between functions",
            Self::NoNative => "no native form: the program needs maps or is not ours",
        }
    }
}

/// Runs a program so many times: the last result, and nanoseconds for all of them.
type Batch<'a> = Box<dyn FnMut(u32) -> Result<(u64, f64)> + 'a>;

/// Nanoseconds that a batch takes, about.
const BATCH_NS: f64 = 1_000_000.0;

/// A program made ready in one engine.
struct Ready<'a> {
    engine: Engine,
    batch: Batch<'a>,
    count: u32,
    best: f64,
    result: u64,
}

impl<'a> Ready<'a> {
    fn new(engine: Engine, mut batch: Batch<'a>) -> Result<Self> {
        let (result, _) = batch(1)?;
        Ok(Self { engine, batch, count: 0, best: f64::INFINITY, result })
    }

    /// Finds out how many runs make a batch.
    fn warm_up(&mut self) -> Result<()> {
        let mut count = 1;
        loop {
            let (_, ns) = (self.batch)(count)?;
            if ns >= BATCH_NS / 2.0 || count > 1 << 20 {
                self.count = (f64::from(count) * BATCH_NS / ns.max(1.0)).clamp(1.0, 1e6) as u32;
                return Ok(());
            }
            count *= 2;
        }
    }
}

/// What one program took in each engine.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The program.
    pub program: &'static str,
    /// Nanoseconds of a run.
    pub ns: BTreeMap<Engine, f64>,
    /// Engines without figures.
    pub absent: BTreeMap<Engine, Absent>,
    /// What all of them returned: the low half, which is all that the kernel gives.
    pub result: u32,
}

/// Runs a program in every engine: once for its result, then `iterations` batches in turns. Without rounds there are no
/// figures. An error when two engines return different results.
pub fn measure(case: &Case, iterations: u32) -> Result<Figures> {
    let mut absent = BTreeMap::new();
    let mut ready: Vec<Ready<'_>> = Vec::new();
    let model = case.model();
    match Kernel::open() {
        Ok(kernel) => ready.push(ours::in_kernel(kernel, case)?),
        Err(_) => _ = absent.insert(Engine::Kernel, Absent::NoKernel),
    }
    for engine in Engine::ALL.into_iter().filter(|e| e.is_ours() && !e.only_compiles()) {
        ready.push(ours::ready(engine, &model, case)?);
    }
    match native::ready(case)? {
        Ok(native) => ready.push(native),
        Err(why) => _ = absent.insert(Engine::Native, why),
    }
    others(case, &mut ready, &mut absent)?;
    let result = ready[0].result as u32;
    for other in &ready[1..] {
        if other.result as u32 != result {
            let (first, other, found) = (ready[0].engine.name(), other.engine.name(), other.result as u32);
            bail!("{}: {first} returns {result:#x}, {other} {found:#x}", case.name);
        }
    }
    if iterations > 0 {
        ready.iter_mut().try_for_each(Ready::warm_up)?;
    }
    for _ in 0..iterations {
        for r in &mut ready {
            let (_, ns) = (r.batch)(r.count)?;
            r.best = r.best.min(ns / f64::from(r.count));
        }
    }
    let ns = ready.iter().filter(|_| iterations > 0).map(|r| (r.engine, r.best)).collect();
    Ok(Figures { program: case.name, ns, absent, result })
}

/// Engines that are not ours.
const PEERS: [Engine; 5] =
    [Engine::RbpfInterpreter, Engine::RbpfX86, Engine::RbpfCranelift, Engine::SbpfInterpreter, Engine::SbpfJit];

#[cfg(feature = "peers")]
fn others<'a>(case: &'a Case, ready: &mut Vec<Ready<'a>>, absent: &mut BTreeMap<Engine, Absent>) -> Result<()> {
    use ebpfkit_isa::opcode::{CALL, pseudo};
    let Some(plain) = &case.plain else {
        absent.extend(PEERS.map(|e| (e, Absent::NoMaps)));
        return Ok(());
    };
    let calls = case.prepared.object.programs[0].insns.iter().any(|i| i.code == CALL && i.src == pseudo::CALL);
    for engine in PEERS {
        if calls && engine == Engine::RbpfCranelift {
            absent.insert(engine, Absent::NoCalls);
            continue;
        }
        ready.push(peers::ready(engine, plain, &case.packet)?);
    }
    Ok(())
}

#[cfg(not(feature = "peers"))]
fn others<'a>(_: &'a Case, _: &mut Vec<Ready<'a>>, absent: &mut BTreeMap<Engine, Absent>) -> Result<()> {
    absent.extend(PEERS.map(|e| (e, Absent::NoPeers)));
    Ok(())
}

/// The geometric mean of an engine's ratios to the kernel; `None` when a figure is missing.
pub fn mean(all: &[Figures], engine: Engine, base: Engine, programs: &[&str]) -> Option<f64> {
    let mut sum = 0.0;
    for name in programs {
        let figures = all.iter().find(|f| f.program == *name)?;
        sum += (figures.ns.get(&engine)? / figures.ns.get(&base)?).ln();
    }
    (!programs.is_empty()).then(|| (sum / programs.len() as f64).exp())
}

/// The kernel that programs are verified for: the newest, with the types of this machine where a program asks for them.
fn model() -> KernelModel {
    KernelModel::new(ebpfkit_abi::KernelVersion::DEFAULT, std::sync::Arc::new(ebpfkit_kernel::machine::btf))
}
