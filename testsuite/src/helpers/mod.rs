//! Helpers and kernel functions called from programs that nobody has verified, with arguments of every kind. Whatever a
//! program passes, a call ends in an answer or in a fault: never in an access outside of the program's memory, never in
//! a panic, never without end.
//!
//! The addresses that programs make up are mapped by no process, so that a helper which follows one is stopped by the
//! system; [`watch`] runs cases in a process of their own and says which one ended it.

mod maps;
mod program;
mod signatures;
pub mod watch;

use crate::generate::{Seeded, Source};
use ebpfkit_abi::ProgType;
use ebpfkit_isa::Endian;
use ebpfkit_jit::{Jit, Options, Tier, compile_with};
use ebpfkit_object::Btf;
use ebpfkit_object::btf::IntEncoding;
use ebpfkit_object::write::{BtfBuilder, NewMember};
use ebpfkit_vm::maps::{Kind, Map, Surroundings};
use ebpfkit_vm::{
    Device, Engine, Fault, FaultKind, Interpreter, Limits, Loader, Program, Route, Run, Socket, World, helpers, input,
};
use program::Calls;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

/// Instructions that a run may execute.
const BUDGET: u64 = 20_000;
/// One case in so many also runs as native code.
const COMPILED: u32 = 12;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// All calls were made.
    Ended,
    /// A fault ended the program.
    Stopped,
    /// The budget was used up.
    Endless,
    /// The program cannot be loaded.
    Refused,
}

/// Types that programs allocate objects of: the number of a type is what a program passes.
static TYPES: LazyLock<Arc<Btf>> = LazyLock::new(|| {
    let mut b = BtfBuilder::new(Endian::Little);
    let encoding = IntEncoding { signed: false, char: false, bool: false, bit_offset: 0, bits: 64 };
    let word = b.int("word", 8, encoding);
    for bytes in [8, 48, 64, 256] {
        let words = b.array(word, word, bytes / 8);
        let member = NewMember { name: "words".into(), ty: words, bit_offset: 0 };
        b.composite(false, "object", bytes, &[member]);
    }
    Arc::new(Btf::parse(b.finish()).expect("types that were just made"))
});

/// The types that programs may allocate objects of.
pub fn types() -> Arc<Btf> {
    TYPES.clone()
}

/// A world in which helpers find something.
fn world(source: &mut impl Source) -> World {
    let local = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let socket =
        |tcp, remote| Socket { local: SocketAddr::new(local, 80), remote, tcp, cookie: 0, uid: 7, mark: 0, device: 0 };
    let mut world = World {
        tick_ns: 1000,
        cpus: 2,
        cpu: source.below(2),
        random: source.wide(),
        sockets: vec![socket(true, None), socket(false, Some(SocketAddr::new(local, 99)))],
        routes: vec![Route { network: local, prefix: 8, gateway: None, device: 2 }],
        kernel_stack: vec![1, 2, 3, 4],
        user_stack: vec![5, 6],
        limits: Limits { emitted: 1 << 20, map_memory: 16 << 20, objects: 512 << 20, timers: 8 },
        ..World::default()
    };
    world.devices.push(Device {
        index: 2,
        name: "eth0".into(),
        mtu: 1500,
        addresses: vec![local],
        ..Device::default()
    });
    world.sysctl.name = "net/core/somaxconn".into();
    world.sysctl.current = b"4096".to_vec();
    world.sysctl.new = source.chance(500).then(|| b"128".to_vec());
    world
}

/// A frame that programs of network types see.
fn packet(source: &mut impl Source) -> Vec<u8> {
    let len = match source.below(8) {
        0 => 1500,
        _ => 54 + source.below(80),
    };
    let mut packet: Vec<u8> = (0..len).map(|n| n as u8).collect();
    let kind: [u8; 2] = source.pick(&[[0x08, 0], [0x08, 0], [0x86, 0xdd], [0x81, 0], [0x12, 0x34]]);
    packet[12..14].copy_from_slice(&kind);
    if let Some(version) = packet.get_mut(14) {
        *version = if kind == [0x86, 0xdd] { 0x61 } else { 0x45 };
    }
    packet
}

/// Everything that a case runs with.
struct Stage {
    maps: Vec<Option<Arc<Map>>>,
    program: Arc<Program>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Programs and prog arrays hold each other.
        for map in self.maps.iter().flatten() {
            if let Kind::Slots(slots) = map.kind() {
                slots.clear_programs();
            }
        }
    }
}

impl Stage {
    fn new(calls: &Calls, world: &World) -> Result<Self, String> {
        let around = Surroundings::of(world);
        let mut maps = Vec::new();
        for (number, used) in calls.maps.iter().enumerate() {
            maps.push(if *used { Some(maps::make(number, &around)?) } else { None });
        }
        let name = |id: u32, _: i16| program::KFUNCS.get(id as usize).map(|n| (*n).to_owned());
        let loader = Loader::new(&calls.insns).prog_type(calls.prog_type).maps(maps.iter().cloned());
        let program = loader.btf(Some(TYPES.clone())).load_with(&name).map_err(|e| e.to_string())?;
        for map in maps.iter().flatten() {
            if let Kind::Slots(slots) = map.kind()
                && map.info().map_type == ebpfkit_abi::MapType::ProgArray
            {
                slots.set_program(1, program.id().into(), program.clone()).map_err(|e| e.to_string())?;
            }
        }
        Ok(Self { maps, program })
    }

    /// Runs the program in one of the engines. The inner result is its own; the error says what it has broken.
    fn run(&self, world: &World, frame: &[u8], jit: bool) -> Result<Result<u64, Fault>, String> {
        let mut run = Run::new(&self.program, world.clone());
        run.set_checked(true);
        run.set_budget(BUDGET);
        let kind = self.program.prog_type();
        let frame = input::takes_packet(kind).then_some(frame);
        let context = match kind {
            ProgType::Kprobe | ProgType::Tracing | ProgType::Syscall => &[0x11; 64][..],
            _ => &[],
        };
        input::set_input(&mut run, frame, context).map_err(|e| e.to_string())?;
        if kind == ProgType::SkLookup {
            helpers::attach_socket(&mut run, 0);
        }
        let mut result = Ok(0);
        // The second run finds what the first one has left.
        for _ in 0..2 {
            result = if jit { Jit.run(&mut run) } else { Interpreter.run(&mut run) };
            helpers::collect(&mut run);
            // A fault of a callback is as good as any other.
            let until = world.monotonic_ns + 1_000_000;
            let _ = helpers::run_timers(&mut run, until);
        }
        for map in self.maps.iter().flatten() {
            maps::check(map)?;
        }
        Ok(result)
    }
}

/// Runs the case that a source chooses. The error says what went wrong, where it did not end the process.
pub fn case(source: &mut impl Source) -> Result<Tried, String> {
    let calls = program::write(source);
    let world = world(source);
    let frame = packet(source);
    let Ok(stage) = Stage::new(&calls, &world) else { return Ok(Tried::Refused) };
    let mut result = stage.run(&world, &frame, false)?;
    if source.below(COMPILED) == 0 {
        let tier = if source.chance(500) { Tier::Baseline } else { Tier::Optimizing };
        let options = Options { tier: Some(tier), ..Options::default() };
        compile_with(&stage.program, true, options).map_err(|e| e.to_string())?;
        result = stage.run(&world, &frame, true)?;
    }
    Ok(match result {
        Ok(_) => Tried::Ended,
        Err(fault) if matches!(fault.kind, FaultKind::Budget(_)) => Tried::Endless,
        Err(_) => Tried::Stopped,
    })
}

/// How often each helper and kernel function was called by the main functions of some seeds' programs, and how often it
/// gave an answer.
pub fn reach(seeds: Range<u64>) -> BTreeMap<&'static str, (u64, u64)> {
    let mut reach = BTreeMap::new();
    for name in program::callee_names() {
        reach.insert(name, (0, 0));
    }
    for seed in seeds {
        let mut source = seeded(seed);
        let calls = program::write(&mut source);
        let (world, frame) = (world(&mut source), packet(&mut source));
        let Ok(stage) = Stage::new(&calls, &world) else { continue };
        if stage.run(&world, &frame, false).is_err() {
            continue;
        }
        let mut vault = vec![0; maps::VAULT_SIZE as usize];
        let Some(map) = &stage.maps[maps::VAULT] else { continue };
        if map.user_lookup(&0u32.to_ne_bytes(), &mut vault, 0).is_err() {
            continue;
        }
        for (name, result) in calls.made.iter().zip(vault[..maps::RESULT_BYTES].chunks_exact(8)) {
            let answered = result.iter().any(|b| *b != maps::FILL);
            let entry = reach.entry(*name).or_default();
            *entry = (entry.0 + 1, entry.1 + u64::from(answered));
            if !answered {
                break;
            }
        }
    }
    reach
}

/// The choices of a seed. Seeds that follow each other must not give the same choices one later.
fn seeded(seed: u64) -> Seeded {
    Seeded(seed.wrapping_mul(0xd6e8_feb8_6659_fd93))
}

/// The case of a seed.
pub fn of_seed(seed: u64) -> Result<Tried, String> {
    case(&mut seeded(seed))
}

/// The program of a seed, as text.
pub fn text_of_seed(seed: u64) -> String {
    let calls = program::write(&mut seeded(seed));
    let mut text = format!("{} program\n", calls.prog_type);
    for (at, line) in ebpfkit_asm::disassemble(&calls.insns) {
        text += &match line {
            Ok(line) => format!("{at:4}: {line}\n"),
            Err(e) => format!("{at:4}: {e}\n"),
        };
    }
    for (at, insn) in calls.insns.iter().enumerate() {
        if insn.code == 0x85 && insn.src == 2 {
            text += &format!("{at:4} calls {}\n", program::KFUNCS[insn.imm as usize]);
        }
    }
    text
}
