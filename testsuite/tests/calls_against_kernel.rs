//! Every helper, held against the running kernel: which kinds of programs may call it, and what it says of arguments
//! of every kind.

use ebpfkit_abi::map_flags;
use ebpfkit_abi::proto::{ArgBase, ArgType, Helper, Prototype};
use ebpfkit_abi::{AttachType as A, Callers, MapType as M, ProgType as P, helpers};
use ebpfkit_isa::Insn;
use ebpfkit_object::{Map, MapInit, Program};
use ebpfkit_testsuite::against_kernel::{KINDS, differences, insn, program, report, typed_kinds};
use ebpfkit_testsuite::arguments::{Value, load_map, prepare, set, varied};

const MAPS: &[(M, u32, u32, u32)] = &[
    (M::Array, 4, 16, 4),
    (M::Hash, 4, 16, 4),
    (M::ProgArray, 4, 4, 4),
    (M::PerfEventArray, 4, 4, 4),
    (M::PercpuArray, 4, 16, 4),
    (M::PercpuHash, 4, 16, 4),
    (M::LruHash, 4, 16, 4),
    (M::StackTrace, 4, 16, 4),
    (M::CgroupArray, 4, 4, 4),
    (M::Devmap, 4, 4, 4),
    (M::DevmapHash, 4, 4, 4),
    (M::Cpumap, 4, 4, 4),
    (M::Xskmap, 4, 4, 4),
    (M::Sockmap, 4, 4, 4),
    (M::Sockhash, 4, 4, 4),
    (M::ReuseportSockarray, 4, 8, 4),
    (M::Queue, 0, 16, 4),
    (M::Stack, 0, 16, 4),
    (M::Ringbuf, 0, 0, 4096),
    (M::UserRingbuf, 0, 0, 4096),
    (M::BloomFilter, 0, 16, 4),
    (M::ArrayOfMaps, 4, 4, 4),
    (M::CgroupStorage, 8, 16, 0),
];
/// A map that programs may only read, with text in it; behind those of [`MAPS`].
const TEXT_MAP: usize = MAPS.len();

fn maps() -> Vec<Map> {
    let map = |&(map_type, key_size, value_size, max_entries): &(M, u32, u32, u32)| Map {
        name: "m".into(),
        map_type,
        key_size,
        value_size,
        max_entries,
        inner: (map_type == M::ArrayOfMaps).then(|| Box::new(map_of(M::Array))),
        ..Map::default()
    };
    let mut all: Vec<Map> = MAPS.iter().map(map).collect();
    let text = b"%d text\0........";
    all.push(Map {
        name: "text".into(),
        flags: map_flags::RDONLY_PROG,
        frozen: true,
        init: MapInit::Data(text.to_vec()),
        max_entries: 1,
        ..map_of(M::Array)
    });
    all
}

fn map_of(map_type: M) -> Map {
    Map { name: "i".into(), map_type, key_size: 4, value_size: 16, max_entries: 4, ..Map::default() }
}

/// The text of [`TEXT_MAP`].
const READ_ONLY: Value = Value::MapValue(TEXT_MAP);

/// What arguments are tried with beside what those of kernel functions are.
const MORE: &[Value] = &[READ_ONLY, Value::Packet, Value::End];

/// A program that sets r1 to r5 and calls a helper.
fn call(id: u32, kind: P, args: &[Value]) -> Vec<Insn> {
    let mut code = prepare(kind, args);
    set(&mut code, args);
    code.push(insn(0x85, 0, 0, 0, id as i32));
    code.extend([insn(0xb7, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0)]);
    code
}

/// A value that suits an argument, as far as one can be had in a few instructions.
fn suitable(want: ArgType, map: usize) -> Value {
    match want.base {
        ArgBase::DontCare => Value::Unset,
        ArgBase::Ctx => Value::Context,
        ArgBase::ConstMapPtr => Value::Map(map),
        ArgBase::MapKey | ArgBase::MapValue | ArgBase::Mem | ArgBase::Stack => Value::Frame(-64),
        ArgBase::ConstSize | ArgBase::ConstSizeOrZero | ArgBase::ConstAllocSizeOrZero => Value::Number(8),
        ArgBase::ConstStr => READ_ONLY,
        ArgBase::Dynptr => Value::Frame(-32),
        _ => Value::Number(0),
    }
}

/// The argument lists that a prototype is tried with.
fn lists(proto: &Prototype) -> Vec<Vec<Value>> {
    let count = proto.arg_count();
    let base = |map| proto.args[..count].iter().map(|&a| suitable(a, map)).collect::<Vec<_>>();
    let mut all = Vec::new();
    let takes_map = proto.args.iter().any(|a| a.base == ArgBase::ConstMapPtr);
    for map in 0..if takes_map { MAPS.len() } else { 1 } {
        all.push(base(map));
    }
    // Arguments behind the map are looked at with a map that fits few and one that fits many.
    for map in if takes_map { vec![0, 18] } else { vec![0] } {
        all.extend(varied(&base(map), MORE));
    }
    all
}

#[test]
fn the_same_programs_may_call_a_helper() {
    let mut cases = Vec::new();
    let untyped = KINDS.iter().map(|&(p, a, f)| (p, a, f, 0));
    for (kind, attach, flags, attach_btf_id) in untyped.chain(typed_kinds()) {
        for id in 1..=helpers::LAST + 1 {
            let code = call(id, kind, &[Value::Unset; 5]);
            let name = format!("{kind} {attach} {flags} {}", helpers::helper_name(id).unwrap_or("no helper"));
            cases.push((name, Program { attach_btf_id, ..program((kind, attach, flags), code) }));
        }
    }
    report(differences("the_same_programs_may_call_a_helper", maps(), cases));
}

/// Every helper, with one kind of program for each of its prototypes.
fn argument_cases(pick: impl Fn(&Helper, &Prototype) -> Vec<(P, A, u32)>) -> Vec<(String, Program)> {
    let mut cases = Vec::new();
    for h in helpers::all() {
        for p in h.prototypes {
            for kind in pick(h, p) {
                for list in lists(p) {
                    let name = format!("{} {} {} {list:?}", kind.0, kind.1, h.name);
                    cases.push((name, program(kind, call(h.id, kind.0, &list))));
                }
            }
        }
    }
    cases
}

#[test]
fn arguments_get_the_same_answer() {
    let every = std::env::var_os("EBPFKIT_EVERY_KIND").is_some();
    let cases = argument_cases(|_, p| {
        let callers = KINDS.iter().filter(|k| p.callers.intersects(Callers::of(k.0, k.1)));
        callers.copied().take(if every { KINDS.len() } else { 1 }).collect()
    });
    report(differences("arguments_get_the_same_answer", maps(), cases));
}

#[test]
fn tail_calls_and_packets() {
    let exit = [insn(0xb7, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0)];
    let tail = |code: &mut Vec<Insn>| {
        code.extend([insn(0xbf, 1, 6, 0, 0)]);
        code.extend(load_map(2, 2, false));
        code.extend([insn(0xb7, 3, 0, 0, 0), insn(0x85, 0, 0, 0, 12)]);
    };
    let packet = || {
        let mut code = vec![insn(0xbf, 6, 1, 0, 0), insn(0x61, 7, 6, 0, 0), insn(0x61, 8, 6, 4, 0)];
        code.extend([insn(0xbf, 0, 7, 0, 0), insn(0x07, 0, 0, 0, 32), insn(0xbd, 0, 8, 2, 0)]);
        code.extend(exit);
        code
    };
    let use_packet = insn(0x71, 0, 7, 0, 0);
    let mut cases = Vec::new();
    let mut add = |name: &str, code: Vec<Insn>| cases.push((name.to_owned(), program((P::Xdp, A(0), 0), code)));
    let mut code = packet();
    tail(&mut code);
    code.push(use_packet);
    code.extend(exit);
    add("in the main program", code);
    for (name, used) in [("unused", None), ("used", Some(use_packet)), ("the result", Some(insn(0x07, 0, 0, 0, 1)))] {
        let mut code = packet();
        code.extend([insn(0xbf, 1, 6, 0, 0), insn(0x85, 0, 1, 0, 2 + i32::from(used.is_some()))]);
        code.extend(used);
        code.extend(exit);
        code.push(insn(0xbf, 6, 1, 0, 0));
        tail(&mut code);
        code.extend(exit);
        add(&format!("in a function, the packet {name}"), code);
    }
    // The function's own result, when the tail call fails, is not there.
    let mut code = vec![insn(0x85, 0, 1, 0, 2), insn(0x07, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0), insn(0xbf, 6, 1, 0, 0)];
    tail(&mut code);
    code.push(insn(0x95, 0, 0, 0, 0));
    add("without a result", code);
    report(differences("tail_calls_and_packets", maps(), cases));
}
