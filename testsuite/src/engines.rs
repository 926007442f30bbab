//! One program on one packet in several engines: what each gives, for comparison.

use crate::generate::Source;
use ebpfkit_abi::net::{ETH_HLEN, IPV4_HLEN, IPV6_HLEN, ethertype};
use ebpfkit_abi::{MapType, ProgType};
use ebpfkit_jit::{Jit, Tier, compile_with};
use ebpfkit_kernel::{Kernel, KernelMap, LogLevel, Session, TestRun};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, Verified, verify};
use ebpfkit_vm::input::{InputError, Origin};
use ebpfkit_vm::maps::Map;
use ebpfkit_vm::{Engine, Event, Instance, Interpreter, Program, Run, World, input};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The entries of a map.
pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// What can be seen of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `r0`, or the fault.
    pub result: Result<u64, String>,
    /// The packet afterwards.
    pub packet: Vec<u8>,
    /// The maps afterwards, by number; those without entries of numbers are empty.
    pub maps: Vec<Entries>,
    /// What the program told the outside.
    pub events: Vec<Event>,
}

/// An engine and its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The interpreter, with checks.
    InterpreterChecked,
    /// The interpreter, without.
    InterpreterUnchecked,
    /// Native code without checks.
    JitVerified,
    /// Native code without checks, compiled quickly.
    JitVerifiedBaseline,
    /// Native code of a program that nobody has verified.
    JitSandboxed,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::InterpreterChecked,
        Self::InterpreterUnchecked,
        Self::JitVerified,
        Self::JitVerifiedBaseline,
        Self::JitSandboxed,
    ];

    /// Whether accesses are checked.
    pub fn is_checked(self) -> bool {
        matches!(self, Self::InterpreterChecked | Self::JitSandboxed)
    }

    /// The tier of native code; `None` for the interpreter.
    pub fn tier(self) -> Option<Tier> {
        match self {
            Self::InterpreterChecked | Self::InterpreterUnchecked => None,
            Self::JitVerified | Self::JitSandboxed => Some(Tier::Optimizing),
            Self::JitVerifiedBaseline => Some(Tier::Baseline),
        }
    }
}

/// What programs are given: a packet, or a context where the type takes no packet.
#[derive(Clone, Debug)]
pub struct Input {
    /// The packet, with its link header.
    pub packet: Vec<u8>,
    /// Arguments of a raw tracepoint.
    pub args: [u8; ARGS],
}

/// Bytes of the arguments of a raw tracepoint.
const ARGS: usize = 96;

impl Input {
    /// Random input.
    pub fn random(source: &mut impl Source) -> Self {
        let mut bytes = |len: usize| -> Vec<u8> { (0..len).map(|_| source.below(256) as u8).collect() };
        let args = bytes(ARGS).try_into().unwrap_or([0; ARGS]);
        // A network packet is never empty.
        let len = ETH_HLEN + 1 + source.below(120) as usize;
        Self { packet: whole((0..len).map(|_| source.below(256) as u8).collect()), args }
    }

    /// Gives it to a run.
    pub fn give(&self, run: &mut Run) -> Result<(), InputError> {
        if input::takes_packet(run.program().prog_type()) {
            input::set_input(run, Some(&self.packet), &[])
        } else {
            input::set_input(run, None, &self.args)
        }
    }
}

/// A packet with all bytes of the network header that its link header announces; no test-run takes one that is shorter.
fn whole(mut packet: Vec<u8>) -> Vec<u8> {
    let header = match packet.get(ETH_HLEN - 2..ETH_HLEN).map(|kind| u16::from_be_bytes([kind[0], kind[1]])) {
        Some(ethertype::IPV4) => IPV4_HLEN,
        Some(ethertype::IPV6) => IPV6_HLEN,
        _ => 0,
    };
    packet.resize(packet.len().max(ETH_HLEN + header), 0);
    packet
}

/// The object's first program that the verifier has accepted, or why not.
pub fn verified(model: &KernelModel, prepared: &Prepared) -> Result<Verified, String> {
    verified_number(model, prepared, 0)
}

/// All of its programs.
pub fn verified_all(model: &KernelModel, prepared: &Prepared) -> Result<Vec<Verified>, String> {
    (0..prepared.object.programs.len()).map(|n| verified_number(model, prepared, n)).collect()
}

fn verified_number(model: &KernelModel, prepared: &Prepared, number: usize) -> Result<Verified, String> {
    match verify(model, &prepared.object, number, Options::to_run(), &mut Silent).verdict {
        Verdict::Accepted(v) => Ok(v),
        Verdict::Rejected(r) => Err(r.text.clone()),
        Verdict::Unsupported { what, .. } => Err(format!("unsupported: {what}")),
    }
}

/// Whether the kernel takes instructions for dead that are not, so that what it runs is another program
/// ([`Options::sound`]), or gives up where the sound verification does not.
pub fn kernel_errs(model: &KernelModel, prepared: &Prepared, proofs: &[Verified]) -> bool {
    let errs = |(n, proof): (usize, &Verified)| {
        proof.facts().soundness_mattered
            && match verify(model, &prepared.object, n, Options::default(), &mut Silent).verdict {
                Verdict::Accepted(kernels) => kernels.facts().reached != proof.facts().reached,
                _ => true,
            }
    };
    proofs.iter().enumerate().any(errs)
}

/// Loads the first program of an object after those that it calls as its tail.
pub fn load(
    instance: &mut Instance,
    model: &KernelModel,
    prepared: &Prepared,
    proofs: &[Verified],
) -> Result<Vec<Arc<Program>>, String> {
    let mut all = Vec::new();
    for n in (0..prepared.object.programs.len()).rev() {
        let loaded = instance.load(&prepared.object, n, proofs.get(n), &|id, index| model.kfunc_name(id, index));
        all.insert(0, loaded.map_err(|e| e.to_string())?);
    }
    Ok(all)
}

/// Runs an object's first program once.
pub fn outcome(
    which: Which,
    model: &KernelModel,
    prepared: &Prepared,
    proofs: &[Verified],
    input: &Input,
) -> Result<Outcome, String> {
    let failed = |e: &dyn std::fmt::Display| format!("{which:?}: {e}");
    let mut instance = Instance::new(&prepared.object, model, 1);
    let programs = load(&mut instance, model, prepared, proofs).map_err(|e| failed(&e))?;
    let mut run = Run::new(&programs[0], World::default());
    run.set_checked(which.is_checked());
    input.give(&mut run).map_err(|e| failed(&e))?;
    let result = match which.tier() {
        Some(tier) => {
            let options = ebpfkit_jit::Options { tier: Some(tier), ..Default::default() };
            for program in &programs {
                compile_with(program, which.is_checked(), options).map_err(|e| failed(&e))?;
            }
            Jit.run(&mut run)
        }
        None => Interpreter.run(&mut run),
    };
    let maps = (instance.maps().iter().zip(&prepared.object.maps))
        .map(|(m, def)| m.as_ref().ok().filter(|_| has_entries(def)).map(|m| entries(m)).unwrap_or_default())
        .collect();
    let (origin, mut buffer) = (Origin::TestRun, Vec::new());
    let kind = programs[0].prog_type();
    let packet = match input::takes_packet(kind) {
        true => input::frame_after(&run, kind, origin, &input.packet, &mut buffer).to_vec(),
        false => Vec::new(),
    };
    Ok(Outcome { result: result.map_err(|f| f.to_string()), packet, maps, events: run.take_events() })
}

pub(crate) fn entries(map: &Map) -> Entries {
    let mut all = Entries::new();
    let mut key: Option<Vec<u8>> = None;
    loop {
        let mut next = vec![0; map.key_size()];
        if map.next_key(key.as_deref(), &mut next).is_err() {
            return all;
        }
        let mut value = vec![0; map.user_value_size()];
        if map.user_lookup(&next, &mut value, 0).is_ok() {
            all.insert(next.clone(), value);
        }
        key = Some(next);
    }
}

/// Types whose maps hold what can be compared.
fn has_entries(map: &ebpfkit_object::Map) -> bool {
    matches!(map.map_type, MapType::Array | MapType::Hash)
}

/// The same in the running kernel, which gives only the low half of `r0` and no events.
pub fn kernel_outcome(kernel: Kernel, prepared: &Prepared, input: &Input) -> Result<Outcome, String> {
    let text = |e: ebpfkit_kernel::KernelError| e.to_string();
    let session = Session::new(kernel, prepared).map_err(text)?;
    let mut loaded = Vec::new();
    for n in 0..prepared.object.programs.len() {
        let program = session.load(n, LogLevel::NONE).map_err(text)?.program;
        loaded.push(program.map_err(|errno| format!("the kernel rejects program {n}: errno {errno}"))?);
    }
    session.fill_prog_arrays(|n| loaded.get(n)).map_err(text)?;
    let kind = prepared.object.programs[0].prog_type;
    let takes_packet = input::takes_packet(kind);
    let test = if takes_packet {
        TestRun { data: &input.packet, wants_output: true, repeat: 1, ..TestRun::default() }
    } else {
        TestRun { ctx: &input.args, ..TestRun::default() }
    };
    let result = kernel.test_run(&loaded[0], &test).map_err(text)?;
    let mut packet = if takes_packet { result.data } else { Vec::new() };
    if matches!(kind, ProgType::SocketFilter | ProgType::CgroupSkb) {
        // The link header is taken away and put back as zeros.
        let header = packet.len().min(ETH_HLEN);
        packet[..header].copy_from_slice(&input.packet[..header]);
    }
    let entries = |m: &KernelMap| -> Result<Entries, String> { Ok(m.entries().map_err(text)?.into_iter().collect()) };
    let maps = (prepared.object.maps.iter().enumerate())
        .map(|(n, map)| match has_entries(map) {
            true => session.map(n).map_err(text).and_then(entries),
            false => Ok(Entries::new()),
        })
        .collect::<Result<_, _>>()?;
    Ok(Outcome { result: Ok(result.retval.into()), packet, maps, events: Vec::new() })
}

/// What two outcomes differ in; `None` when they agree. `narrow` compares what the kernel gives: the low half of `r0`, no
/// events.
pub fn difference(a: &Outcome, b: &Outcome, narrow: bool) -> Option<String> {
    let r0 = |o: &Outcome| o.result.clone().map(|v| if narrow { v & 0xffff_ffff } else { v });
    if r0(a) != r0(b) {
        return Some(format!("r0: {:x?} and {:x?}", a.result, b.result));
    }
    if a.packet != b.packet {
        return Some(format!("the packet: {:02x?} and {:02x?}", a.packet, b.packet));
    }
    if !narrow && a.events != b.events {
        return Some(format!("events: {:?} and {:?}", a.events, b.events));
    }
    let other = a.maps.iter().zip(&b.maps).position(|(x, y)| x != y)?;
    Some(format!("map {other}: {:02x?} and {:02x?}", a.maps[other], b.maps[other]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Bytes;

    #[test]
    fn packets_have_the_header_that_they_announce() {
        let mut choices = vec![0; ARGS];
        // Of one byte behind a link header that announces IPv4.
        choices.push(0);
        choices.extend([0; 12]);
        choices.extend([8, 0, 0x45]);
        let Input { packet, .. } = Input::random(&mut Bytes(&choices));
        assert_eq!(packet.len(), ETH_HLEN + IPV4_HLEN);
        assert_eq!(packet[ETH_HLEN - 2..=ETH_HLEN], [8, 0, 0x45]);
    }
}
