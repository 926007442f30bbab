//! One program on one packet in several engines: what each gives, for comparison.

use ebpfkit_jit::{Jit, Tier, compile_with};
use ebpfkit_kernel::{Kernel, KernelMap, LogLevel, Session, TestRun};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::observer::Silent;
use ebpfkit_verifier::{KernelModel, Options, Verdict, Verified, verify};
use ebpfkit_vm::maps::Map;
use ebpfkit_vm::{Engine, Instance, Interpreter, Run, World, input};
use std::collections::BTreeMap;

/// The entries of a map.
pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// What can be seen of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `r0`, or the fault.
    pub result: Result<u64, String>,
    /// The packet afterwards.
    pub packet: Vec<u8>,
    /// The maps afterwards, by number.
    pub maps: Vec<Entries>,
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
    JitVerifiedQuick,
    /// Native code of a program that nobody has verified.
    JitSandboxed,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::InterpreterChecked,
        Self::InterpreterUnchecked,
        Self::JitVerified,
        Self::JitVerifiedQuick,
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
            Self::JitVerified | Self::JitSandboxed => Some(Tier::Best),
            Self::JitVerifiedQuick => Some(Tier::Quick),
        }
    }
}

/// The program that the verifier has accepted, or why not.
pub fn verified(model: &KernelModel, prepared: &Prepared) -> Result<Verified, String> {
    match verify(model, &prepared.object, 0, Options::to_run(), &mut Silent).verdict {
        Verdict::Accepted(v) => Ok(v),
        Verdict::Rejected(r) => Err(r.reason.to_string()),
        Verdict::Unsupported { what, .. } => Err(format!("unsupported: {what}")),
    }
}

/// Whether the kernel takes instructions for dead that are not, so that what it runs is another program
/// ([`Options::sound`]).
pub fn kernel_errs(model: &KernelModel, prepared: &Prepared, proof: &Verified) -> bool {
    if !proof.facts().soundness_mattered {
        return false;
    }
    match verify(model, &prepared.object, 0, Options::default(), &mut Silent).verdict {
        Verdict::Accepted(kernels) => kernels.facts().reached != proof.facts().reached,
        _ => false,
    }
}

/// Runs an object's first program once.
pub fn outcome(
    which: Which,
    model: &KernelModel,
    prepared: &Prepared,
    verified: &Verified,
    packet: &[u8],
) -> Result<Outcome, String> {
    let mut instance = Instance::new(&prepared.object, model, 1);
    let program =
        instance.load(&prepared.object, 0, Some(verified), &|_, _| None).map_err(|e| format!("{which:?}: {e}"))?;
    let mut run = Run::new(&program, World::default());
    run.set_checked(which.is_checked());
    input::set_input(&mut run, Some(packet), &[]).map_err(|e| e.to_string())?;
    let result = match which.tier() {
        Some(tier) => {
            let options = ebpfkit_jit::Options { tier: Some(tier), ..Default::default() };
            compile_with(&program, which.is_checked(), options).map_err(|e| format!("{which:?}: {e}"))?;
            Jit.run(&mut run)
        }
        None => Interpreter.run(&mut run),
    };
    let maps = instance.maps().iter().map(|m| m.as_ref().map(|m| entries(m)).unwrap_or_default()).collect();
    Ok(Outcome { result: result.map_err(|f| f.to_string()), packet: run.packet.bytes().to_vec(), maps })
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

/// The same in the running kernel, which gives only the low half of `r0`.
pub fn kernel_outcome(kernel: Kernel, prepared: &Prepared, packet: &[u8]) -> Result<Outcome, String> {
    let text = |e: ebpfkit_kernel::KernelError| e.to_string();
    let session = Session::new(kernel, prepared).map_err(text)?;
    let loaded = session.load(0, LogLevel::NONE).map_err(text)?;
    let program = loaded.program.map_err(|errno| format!("the kernel rejects the program: errno {errno}"))?;
    let input = TestRun { data: packet, wants_output: true, repeat: 1, ..TestRun::default() };
    let result = kernel.test_run(&program, &input).map_err(text)?;
    let entries = |m: &KernelMap| -> Result<Entries, String> { Ok(m.entries().map_err(text)?.into_iter().collect()) };
    let maps = (0..prepared.object.maps.len())
        .map(|n| session.map(n).map_err(text).and_then(entries))
        .collect::<Result<_, _>>()?;
    Ok(Outcome { result: Ok(result.retval.into()), packet: result.data, maps })
}

/// What two outcomes differ in; `None` when they agree. `narrow` compares the low half of `r0` only.
pub fn difference(a: &Outcome, b: &Outcome, narrow: bool) -> Option<String> {
    let r0 = |o: &Outcome| o.result.clone().map(|v| if narrow { v & 0xffff_ffff } else { v });
    if r0(a) != r0(b) {
        return Some(format!("r0: {:x?} and {:x?}", a.result, b.result));
    }
    if a.packet != b.packet {
        return Some(format!("the packet: {:02x?} and {:02x?}", a.packet, b.packet));
    }
    let other = a.maps.iter().zip(&b.maps).position(|(x, y)| x != y)?;
    Some(format!("map {other}: {:02x?} and {:02x?}", a.maps[other], b.maps[other]))
}
