//! `BPF_PROG_TEST_RUN` in the kernel and here: programs of every type that it takes without attaching them, on random
//! packets and contexts. Result, error number, packet, context and maps are compared, in the interpreter and as native
//! code, with checks and without. Programs are random ones ([`crate::generate`]) and such that call helpers and keep all that they give
//! ([`Recipe`]).

mod calls;
mod code;
mod inputs;
mod kinds;
mod structs;

pub use code::{Arg, Call, Part, Recipe};
pub use inputs::{Input, frame, input};
pub use kinds::{KINDS, recipe};
pub use structs::Structs;

use crate::engines::{Entries, Which, entries, kernel_errs, load, verified_all};
use crate::generate::{self, Config, Seeded, Source};
use ebpfkit_abi::{MapType, test_run};
use ebpfkit_jit::{Jit, Options, compile_with};
use ebpfkit_kernel::{Kernel, KernelError, LoadedProgram, LogLevel, Session, TestRun};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::{KernelModel, Verified};
use ebpfkit_vm::{Engine, Image, Instance, Interpreter, Program, Run, Space, World, hex, input as vm_input};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a test-run gives: result, packet, context, maps; or an error number.
type Outcome = Result<Output, i32>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Output {
    retval: u32,
    packet: Vec<u8>,
    ctx: Vec<u8>,
    maps: Vec<Entries>,
}

/// What was compared.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Inputs that a program was run on, by program type.
    pub runs: BTreeMap<String, u64>,
    /// Of these, such as are refused with an error number.
    pub refused: u64,
    /// Programs.
    pub programs: u64,
    /// Programs that are not accepted, or that the kernel takes for others than they are.
    pub left_out: u64,
}

impl Counts {
    /// All runs.
    pub fn total(&self) -> u64 {
        self.runs.values().sum()
    }
}

/// Where programs come from.
#[derive(Clone, Debug)]
enum Origin {
    /// [`generate`], by seed.
    Random(u64),
    Recipe(Recipe),
}

/// A comparison of test-runs.
pub struct Comparison {
    kernel: Kernel,
    model: KernelModel,
    config: Config,
    structs: Structs,
    calls_only: bool,
}

/// A program in the kernel, with its maps.
struct Theirs<'a> {
    kernel: Kernel,
    session: Session<'a>,
    programs: Vec<LoadedProgram>,
    prepared: &'a Prepared,
}

/// The same here, in one engine.
struct Ours {
    instance: Instance,
    programs: Vec<Arc<Program>>,
    which: Which,
}

/// The engines that are compared.
const ENGINES: [Which; 4] =
    [Which::InterpreterUnchecked, Which::JitVerified, Which::InterpreterChecked, Which::JitSandboxed];

/// Where the state that a method's argument leads to stands here: an address of the user's.
const STATE: u64 = 0x7f00_1234_5678;

/// Numbers for the connections of one program, which the kernel keeps for a while: no two programs have the same.
fn nonce() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(0x9e37_79b1)
        ^ std::time::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_secs() as u32);
    start.wrapping_add(NEXT.fetch_add(1 << 10, Ordering::Relaxed))
}

/// The map of results as it is before the first run.
fn results(nonce: u32) -> Vec<u8> {
    let mut value = vec![0; code::NONCE + 24];
    value[code::NONCE..][..4].copy_from_slice(&nonce.to_ne_bytes());
    value
}

/// Types whose maps hold what can be compared.
fn has_entries(map: &ebpfkit_object::Map) -> bool {
    matches!(map.map_type, MapType::Array | MapType::Hash)
}

impl<'a> Theirs<'a> {
    fn new(kernel: Kernel, prepared: &'a Prepared, nonce: Option<u32>) -> Result<Self, String> {
        let text = |e: KernelError| e.to_string();
        let session = Session::new(kernel, prepared).map_err(text)?;
        let mut programs = Vec::new();
        for n in 0..prepared.object.programs.len() {
            let program = session.load(n, LogLevel::NONE).map_err(text)?.program;
            programs.push(program.map_err(|errno| format!("program {n}: errno {errno}"))?);
        }
        session.fill_prog_arrays(|n| programs.get(n)).map_err(text)?;
        if let Some(nonce) = nonce {
            session.map(0).and_then(|map| map.update(&[0; 4], &results(nonce), 0)).map_err(text)?;
        }
        Ok(Self { kernel, session, programs, prepared })
    }

    fn run(&self, input: &Input) -> Result<Outcome, String> {
        let kind = self.prepared.object.programs[0].prog_type;
        // The kernel copies what the first argument leads to, and back.
        let state = AtomicU32::new(input.state.unwrap_or_default());
        let mut ctx = input.ctx.clone();
        if input.state.is_some() {
            ctx[..8].copy_from_slice(&(state.as_ptr() as u64).to_ne_bytes());
        }
        let test = TestRun::of(kind, input.packet.as_deref(), &ctx, input.repeat);
        let out = match self.kernel.test_run(&self.programs[0], &test) {
            Ok(out) => out,
            Err(KernelError::Call { errno, .. }) => return Ok(Err(errno)),
            Err(e) => return Err(e.to_string()),
        };
        let mut maps = Vec::new();
        for (n, def) in self.prepared.object.maps.iter().enumerate() {
            let all = match has_entries(def) {
                true => self.session.map(n).and_then(|m| m.entries()).map_err(|e| e.to_string())?,
                false => Vec::new(),
            };
            maps.push(all.into_iter().collect());
        }
        // One that the kernel was given in the place of none.
        let mut ctx = if input.ctx.is_empty() { Vec::new() } else { out.ctx };
        if input.state.is_some() {
            let after = state.load(Ordering::Relaxed);
            ctx[..8].copy_from_slice(&u64::from(after).to_ne_bytes());
        }
        let (retval, packet) = (out.retval, out.data);
        Ok(Ok(Output { retval, packet, ctx, maps }))
    }
}

impl Ours {
    fn new(
        model: &KernelModel,
        prepared: &Prepared,
        proofs: &[Verified],
        which: Which,
        nonce: Option<u32>,
    ) -> Result<Self, String> {
        let mut instance = Instance::new(&prepared.object, model, 1);
        let programs = load(&mut instance, model, prepared, proofs)?;
        if let Some(tier) = which.tier() {
            for program in &programs {
                // Some run with checks though they are verified.
                let checked = which.is_checked() || Run::new(program, World::default()).is_checked();
                let options = Options { tier: Some(tier), ..Options::default() };
                compile_with(program, checked, options).map_err(|e| e.to_string())?;
            }
        }
        if let (Some(nonce), Some(Ok(map))) = (nonce, instance.maps().first()) {
            map.user_update(&[0; 4], &results(nonce), 0).map_err(|e| e.to_string())?;
        }
        Ok(Self { instance, programs, which })
    }

    fn run(&self, prepared: &Prepared, input: &Input) -> Result<Outcome, String> {
        let mut run = Run::new(&self.programs[0], World::default());
        if self.which.is_checked() {
            run.set_checked(true);
        }
        let mut ctx = input.ctx.clone();
        if let Some(state) = input.state {
            ctx[..8].copy_from_slice(&STATE.to_ne_bytes());
            let bytes = state.to_ne_bytes().to_vec();
            let image = Image { address: STATE, bytes, writable: true, space: Space::Any };
            run.world_mut().memory.insert(image);
        }
        if let Err(e) = vm_input::set_input(&mut run, input.packet.as_deref(), &ctx) {
            return Ok(Err(e.errno().0));
        }
        let mut retval = 0;
        for _ in 0..input.repeat.max(1) {
            let result = if self.which.tier().is_some() { Jit.run(&mut run) } else { Interpreter.run(&mut run) };
            retval = result.map_err(|fault| fault.to_string())? as u32;
        }
        let (packet, mut ctx) = vm_input::output(&run, &ctx);
        if let Some(bytes) = input.state.and_then(|_| run.world().memory.get(STATE, 4, Space::Any)) {
            ctx[..8].fill(0);
            ctx[..4].copy_from_slice(bytes);
        }
        let maps =
            self.instance.maps().iter().zip(&prepared.object.maps).map(|(map, def)| {
                map.as_ref().ok().filter(|_| has_entries(def)).map(|m| entries(m)).unwrap_or_default()
            });
        Ok(Ok(Output { retval, packet, ctx, maps: maps.collect() }))
    }
}

/// How two things differ.
fn difference(ours: &Outcome, theirs: &Outcome) -> Option<String> {
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        _ if ours == theirs => return None,
        (Err(ours), Ok(_)) => return Some(format!("refused here: errno {ours}")),
        (Ok(_), Err(theirs)) => return Some(format!("refused by the kernel: errno {theirs}")),
        (Err(ours), Err(theirs)) => return Some(format!("errno {ours}, the kernel has {theirs}")),
    };
    if ours.retval != theirs.retval {
        return Some(format!("result {:#x}, the kernel has {:#x}", ours.retval, theirs.retval));
    }
    let bytes = |what: &str, ours: &[u8], theirs: &[u8]| {
        let at = ours.iter().zip(theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
        let part = |all: &[u8]| hex::encode(&all[at & !7..all.len().min((at & !7) + 16)]);
        let (a, b) = (part(ours), part(theirs));
        format!("{what}, at byte {} of {}: {a}, the kernel has {b}, {} bytes", at & !7, ours.len(), theirs.len())
    };
    if ours.packet != theirs.packet {
        return Some(bytes("the packet", &ours.packet, &theirs.packet));
    }
    if ours.ctx != theirs.ctx {
        return Some(bytes("the context", &ours.ctx, &theirs.ctx));
    }
    let map = ours.maps.iter().zip(&theirs.maps).position(|(a, b)| a != b)?;
    let (a, b) = (&ours.maps[map], &theirs.maps[map]);
    let entry = a.iter().zip(b).find(|(x, y)| x != y);
    Some(match entry {
        Some(((key, x), (other, y))) if key == other => bytes(&format!("map {map}, key {}", hex::encode(key)), x, y),
        _ => format!("map {map} has {} entries, the kernel's {}", a.len(), b.len()),
    })
}

impl Comparison {
    /// With the running kernel and its model.
    pub fn new(kernel: Kernel, model: KernelModel, config: Config) -> Self {
        // Programs see which CPU they run on.
        ebpfkit_kernel::machine::stay_on_cpu(0);
        let structs = model.btf().map(|types| Structs::of(types)).unwrap_or_default();
        Self { kernel, model, config, structs, calls_only: false }
    }

    /// Compares programs that do nothing but call, and keep what that gives.
    pub fn with_calls_only(mut self) -> Self {
        self.calls_only = true;
        self
    }

    fn prepared(&self, origin: &Origin) -> Prepared {
        match origin {
            Origin::Random(seed) => generate::program(&mut Seeded(*seed), &self.config),
            Origin::Recipe(recipe) => recipe.build(&self.structs),
        }
    }

    /// Runs a program on inputs, one after the other; the number of the first that gives something else, and what.
    fn first_difference(
        &self,
        prepared: &Prepared,
        inputs: &[Input],
        counts: &mut Counts,
    ) -> Result<Option<(usize, String)>, String> {
        counts.programs += 1;
        let proofs = verified_all(&self.model, prepared);
        // Programs that keep what they see have one map.
        let nonce = (prepared.object.maps.first().is_some_and(|m| m.name == "results")).then(nonce);
        let theirs = Theirs::new(self.kernel, prepared, nonce);
        let (proofs, theirs) = match (proofs, theirs) {
            (Ok(proofs), Ok(theirs)) => (proofs, theirs),
            (Err(_), Err(_)) => {
                counts.left_out += 1;
                return Ok(None);
            }
            (Err(e), Ok(_)) => return Err(format!("rejected here: {e}")),
            (Ok(_), Err(e)) => return Err(format!("rejected by the kernel: {e}")),
        };
        if kernel_errs(&self.model, prepared, &proofs) {
            counts.left_out += 1;
            return Ok(None);
        }
        let engines = ENGINES.map(|which| Ours::new(&self.model, prepared, &proofs, which, nonce));
        for (n, input) in inputs.iter().enumerate() {
            let want = theirs.run(input)?;
            *counts.runs.entry(prepared.object.programs[0].prog_type.to_string()).or_default() += 1;
            counts.refused += u64::from(want.is_err());
            for engine in &engines {
                let engine = engine.as_ref().map_err(Clone::clone)?;
                let got = engine.run(prepared, input)?;
                if let Some(text) = difference(&got, &want) {
                    return Ok(Some((n, format!("{:?}: {text}", engine.which))));
                }
            }
        }
        Ok(None)
    }

    /// The difference that a program shows on one input alone.
    fn shows(&self, prepared: &Prepared, input: &Input) -> Option<String> {
        let inputs = std::slice::from_ref(input);
        self.first_difference(prepared, inputs, &mut Counts::default()).ok().flatten().map(|d| d.1)
    }

    /// Tries the program and the inputs of a seed; a difference, made as short as it can be.
    pub fn compare(&self, seed: u64, inputs: u32, only: &[&str], counts: &mut Counts) -> Result<(), String> {
        let mut source = Seeded(seed.wrapping_mul(0xd6e8_feb8_6659_fd93));
        let source = &mut source;
        let named = |kind: &ebpfkit_abi::ProgType| only.is_empty() || only.contains(&kind.to_string().as_str());
        let kinds: Vec<_> = KINDS.iter().copied().filter(|k| named(&k.0)).collect();
        if kinds.is_empty() {
            return Err("no such program type".to_owned());
        }
        let origin = match source.below(3) {
            0 if only.is_empty() => Origin::Random(seed),
            _ => {
                let kind = source.pick(&kinds);
                let mut recipe = recipe(source, &self.structs, kind);
                if self.calls_only {
                    let calls = |part: &Part| !matches!(part, Part::SetField(..) | Part::SetPacket(..));
                    recipe.parts.retain(calls);
                }
                Origin::Recipe(recipe)
            }
        };
        let prepared = self.prepared(&origin);
        let kind = prepared.object.programs[0].prog_type;
        let arguments =
            self.structs.arguments(test_run::OPERATIONS, prepared.object.programs[0].attach_type.0 as usize);
        let inputs: Vec<Input> = (0..inputs).map(|_| input(source, kind, arguments.unwrap_or(1))).collect();
        let found = match self.first_difference(&prepared, &inputs, counts) {
            Ok(None) => return Ok(()),
            Ok(Some((n, text))) => (n, text),
            Err(e) => return Err(format!("{kind}: {e}\n{}", crate::text_of(&prepared))),
        };
        let input = inputs[found.0].clone();
        let Some(text) = self.shows(&prepared, &input) else {
            // What the inputs before have left matters.
            return Err(format!("{kind}, input {}: {}\n{}", found.0, found.1, crate::text_of(&prepared)));
        };
        let (origin, input) = self.shorten(origin, input);
        let prepared = self.prepared(&origin);
        let text = self.shows(&prepared, &input).unwrap_or(text);
        let packet = input.packet.as_deref().map_or("none".to_owned(), hex::encode);
        let (ctx, repeat, state) = (hex::encode(&input.ctx), input.repeat, input.state);
        let parts = match &origin {
            Origin::Recipe(recipe) => format!("{recipe:?}\n"),
            Origin::Random(_) => String::new(),
        };
        let code = crate::text_of(&prepared);
        Err(format!("{kind}: {text}\npacket {packet}\ncontext [{ctx}] repeat {repeat} state {state:?}\n{parts}{code}"))
    }

    fn shorten(&self, mut origin: Origin, mut input: Input) -> (Origin, Input) {
        let kind = self.prepared(&origin).object.programs[0].prog_type;
        let needs_context =
            input.state.is_some() || test_run::of(kind, ebpfkit_abi::AttachType(0)).is_ok_and(|row| row.needs_context);
        let holds = |o: &Origin, i: &Input| self.shows(&self.prepared(o), i).is_some();
        let attempt = |origin: &mut Origin, input: &mut Input, change: &dyn Fn(&mut Origin, &mut Input) -> bool| {
            let (mut o, mut i) = (origin.clone(), input.clone());
            if change(&mut o, &mut i) && holds(&o, &i) {
                (*origin, *input) = (o, i);
                return true;
            }
            false
        };
        loop {
            let mut changed = false;
            if input.repeat > 1 {
                changed |= attempt(&mut origin, &mut input, &|_, i| {
                    i.repeat = 1;
                    true
                });
            }
            if !input.ctx.is_empty() && !needs_context {
                changed |= attempt(&mut origin, &mut input, &|_, i| {
                    i.ctx.clear();
                    true
                });
            }
            let parts = match &origin {
                Origin::Recipe(recipe) => recipe.parts.len(),
                Origin::Random(_) => 0,
            };
            for n in (0..parts).rev() {
                changed |= attempt(&mut origin, &mut input, &|o, _| match o {
                    Origin::Recipe(recipe) => {
                        recipe.parts.remove(n);
                        true
                    }
                    Origin::Random(_) => false,
                });
            }
            let len = input.packet.as_ref().map_or(0, Vec::len);
            for cut in [len / 2, len / 4, len / 8, 4, 1] {
                changed |= cut > 0
                    && attempt(&mut origin, &mut input, &|_, i| {
                        if let Some(p) = &mut i.packet {
                            p.truncate(len.saturating_sub(cut));
                        }
                        cut <= len
                    });
                if changed {
                    break;
                }
            }
            let quiet = changed;
            for at in (0..input.ctx.len()).filter(|_| !quiet) {
                if input.ctx.get(at).is_some_and(|b| *b != 0) {
                    changed |= attempt(&mut origin, &mut input, &|_, i| {
                        i.ctx[at] = 0;
                        true
                    });
                }
            }
            if !changed {
                return (origin, input);
            }
        }
    }
}
