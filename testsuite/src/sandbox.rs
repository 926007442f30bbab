//! Programs that nobody has verified, in both engines that check every access: neither leaves the program's memory, and
//! both give the same, faults included.

use crate::engines::{Entries, entries};
use crate::generate::{self, Config, Constructs, Seeded, Source};
use crate::out_of_bounds::{self, Attempt, Base, map};
use ebpfkit_isa::{Insn, STACK_SIZE};
use ebpfkit_jit::{Jit, Tier, compile_with};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::KernelModel;
use ebpfkit_vm::maps::Map;
use ebpfkit_vm::regions::{NearestRegion, RegionKind};
use ebpfkit_vm::{Engine, Fault, FaultKind, Instance, Interpreter, Run, World, input};
use std::sync::Arc;

/// Instructions that a random program may execute.
const BUDGET: u64 = 50_000;

/// What became of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// An access outside was tried, and both engines ended with the same fault.
    Stopped,
    /// It turned out to be inside, and both engines did it.
    Inside,
    /// The program ended without a fault, in both engines.
    Ended,
    /// Both engines used the budget up.
    Endless,
    /// The program cannot be loaded.
    Refused,
    /// It does not give the same twice in one engine: its result depends on where memory was allocated.
    Unsteady,
}

/// First byte and number of bytes.
type Span = (u64, u64);

/// One place to run a program in, for both engines, so that all addresses are the same.
struct Fixture {
    instance: Instance,
    run: Run,
    packet: Vec<u8>,
}

/// What can be seen after a run.
#[derive(Debug, PartialEq)]
struct Seen {
    result: Result<u64, Fault>,
    /// The rest of the budget, where the run ended by itself or for lack of it.
    left: Option<u64>,
    packet: Vec<u8>,
    maps: Vec<Entries>,
}

/// Memory that a run must leave as it is.
#[derive(Debug, PartialEq)]
struct Guards {
    before_packet: Vec<u8>,
    packet: Vec<u8>,
    after_packet: Vec<u8>,
    frames: Vec<u8>,
    maps: Vec<Entries>,
}

impl Fixture {
    /// `None` when the program is refused.
    fn new(prepared: &Prepared, model: &KernelModel, packet: Vec<u8>, tier: Tier) -> Option<Self> {
        let mut instance = Instance::new(&prepared.object, model, 1);
        let program = instance.load(&prepared.object, 0, None, &|_, _| None).ok()?;
        compile_with(&program, true, ebpfkit_jit::Options { tier: Some(tier), ..Default::default() }).ok()?;
        let mut run = Run::new(&program, World::default());
        run.set_checked(true);
        input::set_input(&mut run, Some(&packet), &[]).ok()?;
        Some(Self { instance, run, packet })
    }

    fn map(&self, number: usize) -> Option<&Arc<Map>> {
        self.instance.maps().get(number)?.as_ref().ok()
    }

    /// Gives packet, maps and the world outside what every run starts with.
    fn reset(&mut self) -> Result<(), String> {
        *self.run.world_mut() = World::default();
        let text = |e: &dyn std::fmt::Display| e.to_string();
        input::set_input(&mut self.run, Some(&self.packet), &[]).map_err(|e| text(&e))?;
        for map in self.instance.maps().iter().flatten() {
            let all = entries(map);
            for (key, value) in all {
                if map.user_delete(&key).is_err() {
                    map.user_update(&key, &vec![0; value.len()], 0).map_err(|e| format!("{e:?}"))?;
                }
            }
        }
        Ok(())
    }

    /// Contents that a program's accesses show.
    fn fill(&mut self) -> Result<(), String> {
        self.reset()?;
        for (number, bytes, keys) in [
            (map::CELLS, out_of_bounds::VALUE, 4),
            (map::TABLE, out_of_bounds::VALUE, 4),
            (map::GLOBAL, out_of_bounds::GLOBAL, 1),
        ] {
            for key in 0..keys {
                let value: Vec<u8> = (0..bytes).map(|i| (i as u8) ^ (17 * key as u8) ^ 0x33).collect();
                let map = self.map(number).ok_or("a map is missing")?;
                map.user_update(&u32::to_ne_bytes(key), &value, 0).map_err(|e| format!("{e:?}"))?;
            }
        }
        Ok(())
    }

    fn seen(&mut self, jit: bool) -> Seen {
        let result = if jit { Jit.run(&mut self.run) } else { Interpreter.run(&mut self.run) };
        let maps = self.instance.maps().iter().flatten().map(|m| entries(m)).collect();
        let is_counted = result.as_ref().map_or_else(|f| matches!(f.kind, FaultKind::Budget(_)), |_| true);
        let left = is_counted.then(|| self.run.left());
        Seen { result, left, packet: self.run.packet().bytes().to_vec(), maps }
    }

    /// What an attempt must not touch; `walks` says that it writes all of its own memory first.
    fn guards(&self, attempt: &Attempt) -> Guards {
        let (before, after) = self.run.packet().surroundings();
        let frames = self.run.stack();
        let used = if attempt.base == Base::OldFrame { 2 * STACK_SIZE } else { STACK_SIZE };
        let mut maps: Vec<Entries> = self.instance.maps().iter().flatten().map(|m| entries(m)).collect();
        let own = attempt.distance.is_none() && attempt.write;
        match attempt.base {
            Base::Removed => _ = maps[map::TABLE].remove(out_of_bounds::KEY.to_ne_bytes().as_slice()),
            Base::Entry if own => _ = maps[map::TABLE].remove(out_of_bounds::KEY.to_ne_bytes().as_slice()),
            Base::Element if own => _ = maps[map::CELLS].remove(out_of_bounds::KEY.to_ne_bytes().as_slice()),
            Base::Global if own => maps[map::GLOBAL].clear(),
            _ => {}
        }
        let packet = if own && matches!(attempt.base, Base::Packet | Base::PacketEnd) {
            Vec::new()
        } else {
            self.run.packet().bytes().to_vec()
        };
        Guards {
            before_packet: before.to_vec(),
            packet,
            after_packet: after.to_vec(),
            frames: frames[..frames.len() - used].to_vec(),
            maps,
        }
    }

    /// Address and bytes of a map's value, as one region.
    fn value(&self, number: usize, key: u32, len: u64) -> Span {
        let pointer = self.map(number).and_then(|m| m.lookup(&key.to_ne_bytes(), 0));
        (pointer.map_or(0, |p| p.as_ptr() as u64), len)
    }

    /// The address that an attempt starts from, and the regions that it may write and may only read.
    fn regions(&self, base: Base) -> (u64, Vec<Span>, Option<Span>) {
        let top = self.run.stack_top();
        let (meta, data, end) = self.run.packet().addresses();
        let mut regions = vec![(top - STACK_SIZE as u64, STACK_SIZE as u64), (meta, end - meta)];
        let mut constant = None;
        let address = match base {
            Base::Frame => top,
            Base::OldFrame => top - STACK_SIZE as u64,
            Base::Context => self.run.ctx().address(),
            Base::Packet => data,
            Base::PacketEnd => end,
            Base::Element | Base::Entry | Base::Removed | Base::Global => {
                let region = match base {
                    Base::Element => self.value(map::CELLS, out_of_bounds::KEY, out_of_bounds::VALUE),
                    Base::Global => self.value(map::GLOBAL, 0, out_of_bounds::GLOBAL),
                    _ => self.value(map::TABLE, out_of_bounds::KEY, out_of_bounds::VALUE),
                };
                regions.push(region);
                region.0
            }
            Base::Constant => {
                let region = self.value(map::CONSTANT, 0, out_of_bounds::CONSTANT);
                constant = Some(region);
                region.0
            }
            Base::Saved => {
                regions.push(self.value(map::SAVED, 0, 8));
                self.value(map::TABLE, out_of_bounds::KEY, out_of_bounds::VALUE).0
            }
            Base::Number => 0,
        };
        (address, regions, constant)
    }
}

fn has((base, len): Span, address: u64, size: u64) -> bool {
    let from = address.wrapping_sub(base);
    from < len && size <= len - from
}

fn tier(seed: u64) -> Tier {
    if seed.is_multiple_of(4) { Tier::Baseline } else { Tier::Optimizing }
}

fn packet(source: &mut Seeded) -> Vec<u8> {
    (0..14 + source.below(90)).map(|_| source.below(256) as u8).collect()
}

/// Runs the attempt of a seed in both engines. The error says what one of them did that it must not do, or what differs.
pub fn attempt(model: &KernelModel, seed: u64) -> Result<Tried, String> {
    let mut source = Seeded(seed);
    let packet = packet(&mut source);
    let attempt = out_of_bounds::attempt(&mut source, packet.len() as u64);
    let failed = |what: String| format!("{what}\n{attempt:?}\n{}", crate::text_of(&attempt.prepared));
    let mut fixture =
        Fixture::new(&attempt.prepared, model, packet, tier(seed)).ok_or_else(|| failed("refused".into()))?;
    let mut all = Vec::new();
    for jit in [false, true] {
        fixture.fill()?;
        let (base, regions, constant) = fixture.regions(attempt.base);
        let address = attempt.distance.map(|d| base.wrapping_add(d));
        for _ in 1..attempt.runs {
            fixture.seen(jit).result.map_err(|e| failed(format!("the first run: {e}")))?;
        }
        let before = fixture.guards(&attempt);
        let mut seen = fixture.seen(jit);
        if attempt.base == Base::Saved {
            // It holds an address.
            seen.maps[map::SAVED].clear();
        }
        let name = if jit { "native code" } else { "the interpreter" };
        let expected = check(&fixture, &attempt, &seen.result, address, &regions, constant)
            .map_err(|what| failed(format!("{name}: {what}; base {base:#x}")))?;
        let unharmed = before == fixture.guards(&attempt);
        if expected == Tried::Stopped && !unharmed {
            return Err(failed(format!("{name} changed memory outside; base {base:#x}")));
        }
        all.push((expected, base, seen));
    }
    let [(first, base, mut ours), (second, other_base, mut theirs)] =
        <[_; 2]>::try_from(all).map_err(|_| "two engines".to_owned())?;
    if base != other_base {
        if first != second {
            // The same distance leads into other memory that the program may use.
            return Ok(Tried::Unsteady);
        }
        if let (Err(a), Err(b)) = (&mut ours.result, &mut theirs.result) {
            relate([a, b], [base, other_base]);
        }
    }
    let all = [ours, theirs];
    if all[0] != all[1] {
        if base != other_base {
            // The entry lay elsewhere, with another alignment.
            return Ok(Tried::Unsteady);
        }
        return Err(failed(format!("the engines differ: {:?} and {:?}", all[0], all[1])));
    }
    Ok(first)
}

/// Makes the faults of accesses at a distance from an entry of a hash map comparable: entries are allocated anew for each
/// run, so that the address depends on where, and what else is near, too. (What each fault says of the place was checked
/// before.)
fn relate(faults: [&mut Fault; 2], entries: [u64; 2]) {
    let is_entry =
        |nearest: &NearestRegion| matches!(&nearest.region, Some((RegionKind::MapValue(n), _)) if &**n == "table");
    let comparable =
        faults.iter().all(|f| !matches!(&f.kind, FaultKind::BadAccess { nearest, .. } if !is_entry(nearest)));
    for (fault, entry) in faults.into_iter().zip(entries) {
        let mut kind = fault.kind.clone();
        match &mut kind {
            FaultKind::BadAccess { address, nearest, .. } => {
                *address = address.wrapping_sub(entry);
                if !comparable {
                    *nearest = NearestRegion { region: None, offset: 0, read_only: false };
                }
            }
            FaultKind::Misaligned { address, .. } => *address = address.wrapping_sub(entry),
            _ => {}
        }
        let moved = Fault::from(kind);
        *fault = match fault.insn {
            Some(at) => moved.at(at),
            None => moved,
        };
    }
}

/// Holds a result against what was tried.
fn check(
    fixture: &Fixture,
    attempt: &Attempt,
    result: &Result<u64, Fault>,
    address: Option<u64>,
    regions: &[Span],
    constant: Option<Span>,
) -> Result<Tried, String> {
    let context = (fixture.run.ctx().address(), fixture.run.ctx().size());
    let size = attempt.size;
    let in_context = address.is_some_and(|a| has(context, a, size));
    let inside = address.is_some_and(|a| {
        regions.iter().any(|r| has(*r, a, size)) || !attempt.write && constant.is_some_and(|r| has(r, a, size))
    });
    let fault = match result {
        Ok(_) if inside || in_context => return Ok(Tried::Inside),
        Ok(r0) => return Err(format!("no fault, r0 is {r0:#x}")),
        Err(fault) => fault,
    };
    if fault.insn != Some(attempt.at) {
        return Err(format!("another place: {fault}"));
    }
    match &fault.kind {
        FaultKind::Misaligned { .. } if attempt.atomic => Ok(Tried::Stopped),
        _ if inside => Err(format!("a fault of an access inside: {fault}")),
        FaultKind::BadContextAccess { .. } if in_context || address.is_none() => Ok(Tried::Stopped),
        FaultKind::BadAccess { address: a, size: s, write, nearest } => {
            let same = address.is_none_or(|address| address == *a && size == *s);
            if !same || !attempt.atomic && *write != attempt.write {
                return Err(format!("a fault of another access: {fault}"));
            }
            // The largest distance at which a region is near for sure.
            let near = |r: &Span| a.wrapping_sub(r.0).min(r.0.wrapping_sub(*a)) < 1 << 19;
            if nearest.region.is_none() && regions.iter().chain(&constant).chain([&context]).any(near) {
                return Err(format!("no region is named: {fault}"));
            }
            Ok(Tried::Stopped)
        }
        _ => Err(format!("an unexpected fault: {fault}")),
    }
}

/// Runs the random program of a seed in both engines; nobody has verified it, and it is rarely correct. The error says
/// what differs.
pub fn random(model: &KernelModel, seed: u64) -> Result<Tried, String> {
    let mut source = Seeded(seed);
    let packet = packet(&mut source);
    let config = Config {
        statements: 30,
        mistakes: source.pick(&[20, 100, 300]),
        functions: 2,
        constructs: Constructs::NONE,
        ..Config::DEFAULT
    };
    let mut prepared = generate::program(&mut source, &config);
    for _ in 0..source.pick(&[0, 1, 2, 5]) {
        mutate(&mut source, &mut prepared.object.programs[0].insns);
    }
    let Some(mut fixture) = Fixture::new(&prepared, model, packet, tier(seed)) else { return Ok(Tried::Refused) };
    fixture.run.set_budget(BUDGET);
    let mut all = Vec::new();
    for jit in [false, false, true, true] {
        fixture.reset()?;
        all.push(fixture.seen(jit));
    }
    // Entries of hash maps may change places from one run to the next.
    if all[0] != all[1] || all[2] != all[3] {
        return Ok(Tried::Unsteady);
    }
    all.swap(1, 2);
    // Native code looks at the budget in every second iteration of a short loop: one more may have begun when it ends.
    if matches!(&all[0].result, Err(f) if matches!(f.kind, FaultKind::Budget(_))) && all[1].result.is_err() {
        return Ok(Tried::Endless);
    }
    if all[0] != all[1] {
        let text = crate::text_of(&prepared);
        return Err(format!("the engines differ: {:?} and {:?}\n{text}", all[0], all[1]));
    }
    Ok(match &all[0].result {
        Err(f) if matches!(f.kind, FaultKind::Budget(_)) => Tried::Endless,
        Err(_) => Tried::Stopped,
        Ok(_) => Tried::Ended,
    })
}

/// Changes one field of an instruction.
fn mutate(source: &mut impl Source, insns: &mut [Insn]) {
    let Some(insn) = insns.get_mut(source.below(u32::MAX) as usize % insns.len().max(1)) else { return };
    match source.below(5) {
        0 => insn.dst = source.below(11) as u8,
        1 => insn.src = source.below(11) as u8,
        2 => insn.off = source.number() as i16,
        3 => insn.off = insn.off.wrapping_add(source.below(17) as i16 - 8),
        _ => insn.imm = source.number() as i32,
    }
}
