//! Accesses outside of the memory that a program may touch, in the engines that stop them: the checked interpreter and
//! sandboxed native code. Both run in one place, one after the other, so that all addresses are the same and every
//! answer can be compared to the last digit.

use crate::generate::Source;
use crate::shrink::assemble;
use ebpfkit_isa::Insn;
use ebpfkit_jit::{Jit, compile};
use ebpfkit_object::Prepared;
use ebpfkit_verifier::KernelModel;
use ebpfkit_vm::maps::Map;
use ebpfkit_vm::{Engine, Fault, FaultKind, Instance, Interpreter, Run, World};
use std::sync::Arc;

/// Bytes of a value of the map that programs use.
const VALUE: i64 = 16;
/// Values of the map.
const VALUES: u32 = 4;
/// Bytes around the packet that nobody may change.
const GUARD: i64 = 200;
/// Bytes around a region in which there is no other memory of the program.
const NEAR: i64 = 200;
/// What values hold before a run.
const FILL: u8 = 0x5a;

/// What a try did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// All accesses were inside, and none was stopped.
    Inside,
    /// The one that was outside was stopped; whether the fault named a region.
    Stopped {
        /// A region was near, and named with the offset from its start.
        named: bool,
    },
    /// It was so far outside that it met other memory of the program.
    Elsewhere,
}

/// One engine's answer with what it left behind.
#[derive(Debug, PartialEq)]
struct Answer {
    result: Result<u64, Fault>,
    packet: Vec<u8>,
    values: Vec<Vec<u8>>,
}

struct Place {
    run: Run,
    map: Arc<Map>,
    packet: Vec<u8>,
    _instance: Instance,
}

impl Place {
    fn new(prepared: &Prepared, packet: Vec<u8>) -> Result<Self, String> {
        let mut instance = Instance::new(&prepared.object, &KernelModel::newest(), 1);
        let program = instance.load(&prepared.object, 0, None, &|_, _| None).map_err(|e| e.to_string())?;
        let map = instance.map("values").ok_or("no map")?.clone();
        compile(&program, true).map_err(|e| e.to_string())?;
        let mut run = Run::new(&program, World::default());
        run.budget = 100_000;
        Ok(Self { run, map, packet, _instance: instance })
    }

    fn answer(&mut self, engine: &dyn Engine) -> Result<Answer, String> {
        for key in 0..VALUES {
            let fill = [FILL; VALUE as usize];
            self.map.user_update(&key.to_ne_bytes(), &fill, 0).map_err(|e| e.text().to_owned())?;
        }
        self.run.set_packet(&self.packet);
        let result = engine.run(&mut self.run);
        let packet = self.run.packet.bytes().to_vec();
        let value = |key: u32| {
            let mut value = vec![0; VALUE as usize];
            self.map.user_lookup(&key.to_ne_bytes(), &mut value, 0).map(|()| value)
        };
        let values = (0..VALUES).map(value).collect::<Result<_, _>>().map_err(|e| e.text().to_owned())?;
        // Headroom and tailroom were zeros.
        if self.run.packet.adjust(-GUARD, -GUARD, GUARD) {
            let all = self.run.packet.bytes();
            let guard = GUARD as usize;
            if all[..guard].iter().chain(&all[all.len() - guard..]).any(|b| *b != 0) {
                return Err("bytes around the packet have changed".into());
            }
        }
        Ok(Answer { result, packet, values })
    }

    /// The answer of both engines, which is the same.
    fn agreed(&mut self) -> Result<Answer, String> {
        let (one, other) = (self.answer(&Interpreter)?, self.answer(&Jit)?);
        let spent = |a: &Answer| matches!(&a.result, Err(f) if matches!(f.kind, FaultKind::Budget(_)));
        if one == other || spent(&one) && spent(&other) {
            return Ok(one);
        }
        Err(format!("the interpreter gives {one:?}\nnative code gives {other:?}"))
    }
}

/// What an access goes through.
#[derive(Clone, Copy, Debug)]
enum Base {
    Stack,
    Packet,
    Value,
    Wild,
}

/// An access: through `base`, at an offset, and whether it is inside.
fn offset(source: &mut impl Source, base: Base, packet: i64, size: i64, inside: bool) -> i64 {
    let (low, high) = match base {
        Base::Stack => (-512, 0),
        Base::Packet => (0, packet),
        Base::Value => (0, VALUE),
        Base::Wild => return source.number() as i64,
    };
    if inside {
        return low + i64::from(source.below((high - low - size + 1) as u32));
    }
    match source.below(5) {
        // Over one end by as much as the access has bytes, or less.
        0 => high - size + 1 + i64::from(source.below(size as u32)),
        1 => low - 1 - i64::from(source.below(size as u32)),
        2 => high + i64::from(source.below(NEAR as u32 - 8)),
        3 => low - 1 - i64::from(source.below(4000)),
        _ => match source.number() as i64 {
            n if (low - size..high + size).contains(&n) => high + 1,
            n => n,
        },
    }
}

/// One statement that accesses memory, as text. The address comes about in different ways.
fn statement(source: &mut impl Source, base: Base, offset: i64, size: i64) -> String {
    let from = match base {
        Base::Stack => "r10",
        Base::Packet => "r7",
        Base::Value => "r8",
        Base::Wild => "r9",
    };
    let mut text = String::new();
    if matches!(base, Base::Wild) {
        text += "    r9 = 0\n";
    }
    let (register, rest) = match (i16::try_from(offset), source.below(3)) {
        (Ok(n), 0) => (from, n),
        (Ok(n), 1) => {
            // Part of it in a register.
            let part = source.below(64) as i16 - 32;
            let rest = n.saturating_sub(part);
            text += &format!("    r2 = {from}\n    r2 += {}\n", n - rest);
            ("r2", rest)
        }
        _ => {
            text += &format!("    r2 = {from}\n    r3 = {offset} ll\n    r2 += r3\n");
            ("r2", 0)
        }
    };
    let bits = size * 8;
    let at = if rest < 0 { format!("{register} - {}", -i32::from(rest)) } else { format!("{register} + {rest}") };
    text += &match source.below(5) {
        0 | 1 => format!("    r4 = *(u{bits} *)({at})\n"),
        2 => format!("    *(u{bits} *)({at}) = r7\n"),
        3 => format!("    *(u{bits} *)({at}) = {}\n", source.below(200)),
        _ if size >= 4 && offset % size == 0 && matches!(base, Base::Stack | Base::Value) => {
            format!("    lock *(u{bits} *)({at}) += r5\n")
        }
        _ => format!("    r5 = *(u{bits} *)({at})\n"),
    };
    text
}

/// A program with some accesses inside and, often, one outside at the end; run in both engines.
pub fn try_one(source: &mut impl Source) -> Result<Tried, String> {
    let packet: Vec<u8> = (0..14 + source.below(90)).map(|n| n as u8).collect();
    let mut text = String::from(
        ".map values array key_size=4 value_size=16 max_entries=4\n.section xdp\n.func tries\n    r6 = r1\n    r5 = 3\n    \
         r7 = *(u32 *)(r6 + 0)\n    r1 = map[values] ll\n    r2 = r10\n    r2 += -8\n",
    );
    text += &format!("    *(u32 *)(r10 - 8) = {}\n", source.below(VALUES));
    text += "    call bpf_map_lookup_elem\n    if r0 == 0 goto out\n    r8 = r0\n";
    let mut is_near = true;
    let mut access = |source: &mut _, inside: bool| {
        let bases = [Base::Stack, Base::Packet, Base::Value, Base::Wild];
        let base = bases[Source::below(source, if inside { 3 } else { 4 }) as usize];
        let size = 1i64 << Source::below(source, 4);
        let offset = offset(source, base, packet.len() as i64, size, inside);
        is_near = match base {
            Base::Stack => (-512 - NEAR..NEAR).contains(&offset),
            Base::Packet => (-NEAR..packet.len() as i64 + NEAR).contains(&offset),
            Base::Value => (-NEAR..VALUE + NEAR).contains(&offset),
            Base::Wild => false,
        };
        text += &statement(source, base, offset, size);
    };
    for _ in 0..source.below(6) {
        access(source, true);
    }
    let stops = source.chance(800);
    if stops {
        access(source, false);
    }
    text += "out:\n    r0 = 0\n    exit\n";
    let report = |what: String| format!("{what}\n{text}");
    let prepared = assemble("tries", &text).ok_or_else(|| report("not assembled".into()))?;
    let mut place = Place::new(&prepared, packet.clone()).map_err(report)?;
    let answer = place.agreed().map_err(report)?;
    match (&answer.result, stops) {
        (Ok(_), false) => Ok(Tried::Inside),
        (Ok(_), true) if !is_near => Ok(Tried::Elsewhere),
        (Err(fault), true) => match &fault.kind {
            FaultKind::BadAccess { place, .. } if fault.insn.is_some() => {
                Ok(Tried::Stopped { named: place.region.is_some() })
            }
            FaultKind::BadContextAccess { .. } if fault.insn.is_some() => Ok(Tried::Stopped { named: true }),
            _ => Err(report(format!("another fault: {fault}"))),
        },
        (result, _) => Err(report(format!("{result:?}"))),
    }
}

/// Instructions without sense, which nobody would accept; run in both engines. `None` when they cannot be loaded.
pub fn try_nonsense(source: &mut impl Source) -> Result<Option<bool>, String> {
    const ALU: [u8; 14] = [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0, 0xb0, 0xb0, 0xc0];
    const JUMP: [u8; 12] = [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
    let mut insns = vec![
        Insn::new(0xbf, 6, 1, 0, 0),
        Insn::new(0x61, 7, 1, 0, 0),
        Insn::new(0x61, 8, 1, 4, 0),
        Insn::new(0xbf, 9, 10, 0, 0),
    ];
    let count = 4 + source.below(40);
    for n in 0..count {
        let (dst, src) = (source.below(10) as u8, source.below(11) as u8);
        let near = source.below(48) as i16 - 40;
        insns.push(match source.below(12) {
            0..4 => {
                let op = source.pick(&ALU);
                let class = source.pick(&[7, 4]);
                let imm = source.number() as i32 & if matches!(op, 0x60 | 0x70 | 0xc0) { 31 } else { -1 };
                match source.below(2) {
                    0 if op != 0x80 => Insn::new(class | 8 | op, dst, src, 0, 0),
                    _ if op == 0x80 => Insn::new(class | op, dst, 0, 0, 0),
                    _ => Insn::new(class | op, dst, 0, 0, imm),
                }
            }
            4..7 => Insn::new(source.pick(&[0x61, 0x69, 0x71, 0x79, 0x81, 0x91]), dst, src, near, 0),
            7 => Insn::new(source.pick(&[0x63, 0x6b, 0x73, 0x7b]), source.below(11) as u8, src, near, 0),
            8 => {
                Insn::new(source.pick(&[0x62, 0x6a, 0x72, 0x7a]), source.below(11) as u8, 0, near, source.bits() as i32)
            }
            9 => Insn::new(
                source.pick(&[0xc3, 0xdb]),
                source.below(11) as u8,
                dst,
                near & !7,
                source.pick(&[0, 1, 0x51, 0xe1]),
            ),
            _ => {
                let to = source.below(count) as i16 - n as i16;
                let op = source.pick(&JUMP);
                let (class, x) = match op {
                    0 => (5, 0),
                    _ => (source.pick(&[5, 6]), source.pick(&[0, 8])),
                };
                let (dst, src) = if op == 0 { (0, 0) } else { (dst, if x == 0 { 0 } else { src }) };
                let imm = if op == 0 || x != 0 { 0 } else { source.number() as i32 };
                Insn::new(class | x | op, dst, src, to, imm)
            }
        });
    }
    insns.push(Insn::new(0x95, 0, 0, 0, 0));
    let base = ".map values array key_size=4 value_size=16 max_entries=4\n.section xdp\n.func nonsense\n    r1 = map[values] ll\n    exit\n";
    let mut prepared = assemble("nonsense", base).ok_or("not assembled")?;
    let program = &mut prepared.object.programs[0];
    program.insns = insns;
    (program.func_info, program.line_info) = Default::default();
    let text = crate::text_of(&prepared);
    let packet: Vec<u8> = (0..14 + source.below(60)).map(|n| n as u8 ^ 0x33).collect();
    let Ok(mut place) = Place::new(&prepared, packet) else { return Ok(None) };
    let answer = place.agreed().map_err(|e| format!("{e}\n{text}"))?;
    Ok(Some(answer.result.is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Seeded;

    #[test]
    fn what_is_outside_is_stopped() {
        let mut stopped = 0;
        for seed in 0..300 {
            let tried = try_one(&mut Seeded(seed)).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            stopped += usize::from(tried != Tried::Inside);
        }
        assert!((150..300).contains(&stopped), "{stopped}");
    }

    #[test]
    fn nonsense_ends_alike() {
        let mut ran = 0;
        for seed in 0..300 {
            let tried = try_nonsense(&mut Seeded(seed)).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            ran += usize::from(tried.is_some());
        }
        assert!(ran > 150, "{ran}");
    }
}
