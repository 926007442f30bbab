//! Loads, stores and atomics through pointers of every kind, held against the running kernel.

use ebpfkit_abi::map_flags;
use ebpfkit_abi::{AttachType as A, MapType, ProgType as P};
use ebpfkit_isa::Insn;
use ebpfkit_isa::opcode::pseudo;
use ebpfkit_object::{Map, Program};
use ebpfkit_testsuite::against_kernel::{differences, insn, program, report};

/// Size bits of 1, 2, 4 and 8 bytes.
const SIZES: [(i32, u8); 4] = [(1, 0x10), (2, 0x08), (4, 0x00), (8, 0x18)];

fn maps() -> Vec<Map> {
    let values = Map {
        name: "values".into(),
        map_type: MapType::Array,
        key_size: 4,
        value_size: 16,
        max_entries: 2,
        ..Map::default()
    };
    let constant = Map {
        name: "constant".into(),
        max_entries: 1,
        flags: map_flags::RDONLY_PROG,
        frozen: true,
        init: ebpfkit_object::MapInit::Data((1..=16).collect()),
        ..values.clone()
    };
    vec![values, constant]
}

fn map(dst: u8, index: i32, value: bool) -> [Insn; 2] {
    [insn(0x18, dst, if value { pseudo::MAP_VALUE } else { pseudo::MAP_FD }, 0, index), insn(0, 0, 0, 0, 0)]
}

/// Sets r6: context, r7: packet of which 16 bytes are proved, r8: a number from 0 to 15, r9: a map value; and the
/// stack: a known number at -8, the context at -16, an unknown number at -24, plain bytes at -32, zero at -40, half an
/// unknown number at -48, nothing at -56, a map value at -64.
fn prologue() -> Vec<Insn> {
    let mut code =
        vec![insn(0xbf, 6, 1, 0, 0), insn(0x85, 0, 0, 0, 7), insn(0xbf, 8, 0, 0, 0), insn(0x57, 8, 0, 0, 15)];
    code.extend([insn(0x63, 10, 8, -4, 0), insn(0xbf, 2, 10, 0, 0), insn(0x07, 2, 0, 0, -4)]);
    code.extend(map(1, 0, false));
    code.extend([insn(0x85, 0, 0, 0, 1), insn(0x55, 0, 0, 2, 0), insn(0xb7, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0)]);
    code.extend([insn(0xbf, 9, 0, 0, 0), insn(0x61, 7, 6, 76, 0), insn(0x61, 3, 6, 80, 0), insn(0xbf, 4, 7, 0, 0)]);
    code.extend([insn(0x07, 4, 0, 0, 16), insn(0xbd, 4, 3, 2, 0), insn(0xb7, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0)]);
    code.extend([insn(0x7a, 10, 0, -8, 5), insn(0x7b, 10, 6, -16, 0), insn(0x7b, 10, 8, -24, 0)]);
    code.extend((0..8).map(|i| insn(0x73, 10, 8, -32 + i, 0)));
    code.extend([insn(0x7a, 10, 0, -40, 0), insn(0x63, 10, 8, -48, 0), insn(0x7b, 10, 9, -64, 0)]);
    code
}

/// Instructions that make r1 a pointer.
fn bases() -> Vec<(&'static str, Vec<Insn>)> {
    let copy = |src| insn(0xbf, 1, src, 0, 0);
    let add = |imm| insn(0x07, 1, 0, 0, imm);
    let add8 = insn(0x0f, 1, 8, 0, 0);
    let wide = [insn(0x57, 8, 0, 0, 8), add8];
    vec![
        ("stack", vec![copy(10)]),
        ("stack variable", [vec![copy(10), add(-72)], wide.to_vec()].concat()),
        ("stack unaligned", vec![copy(10), add(-72), add8]),
        ("value", vec![copy(9)]),
        ("value variable", vec![copy(9), add8]),
        ("value aligned", [vec![copy(9)], wide.to_vec()].concat()),
        ("packet", vec![copy(7)]),
        ("packet variable", vec![copy(7), add8]),
        ("context", vec![copy(6)]),
        ("map", map(1, 0, false).to_vec()),
        ("constant", map(1, 1, true).to_vec()),
        ("number", vec![copy(8)]),
    ]
}

fn offsets(base: &str) -> Vec<i16> {
    match base {
        "stack" => (-72..6).collect(),
        "stack variable" | "stack unaligned" => (-16..80).step_by(4).collect(),
        "context" => vec![0, 8, 48, 76, 80, 168],
        _ => (-2..20).collect(),
    }
}

/// What is done with r2 afterwards: nothing; its kind shows; its range shows.
fn uses() -> Vec<(&'static str, Vec<Insn>)> {
    let through = insn(0x71, 0, 2, 0, 0);
    let range = vec![insn(0x0f, 9, 2, 0, 0), insn(0x71, 0, 9, 0, 0)];
    let slot = |off| vec![insn(0x79, 2, 10, off, 0), through];
    vec![
        ("", vec![]),
        ("kind", vec![through]),
        ("range", range),
        ("slot -16", slot(-16)),
        ("slot -24", slot(-24)),
        ("slot -64", slot(-64)),
    ]
}

fn finish(name: String, body: &[&[Insn]]) -> (String, Program) {
    let mut code = prologue();
    for part in body {
        code.extend_from_slice(part);
    }
    code.extend([insn(0xb7, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0)]);
    (name, program((P::SchedCls, A(0), 0), code))
}

#[test]
fn loads() {
    let mut cases = Vec::new();
    for (base, make) in bases() {
        for off in offsets(base) {
            for (what, after) in uses().into_iter().take(3) {
                for (bytes, size) in SIZES {
                    for (mode, how) in [(0x60, "plain"), (0x80, "signed")] {
                        let load = insn(0x01 | mode | size, 2, 1, off, 0);
                        cases.push(finish(format!("{how} {base} {off} {bytes} {what}"), &[&make, &[load], &after]));
                    }
                    let acquire = insn(0xc3 | size, 2, 1, off, 0x100);
                    cases.push(finish(format!("acquire {base} {off} {bytes} {what}"), &[&make, &[acquire], &after]));
                }
            }
        }
    }
    report(differences("loads", maps(), cases));
}

#[test]
fn stores() {
    let mut cases = Vec::new();
    for (base, make) in bases() {
        for off in offsets(base) {
            for (what, after) in uses().into_iter().filter(|(w, _)| *w != "kind" && *w != "range") {
                for (bytes, size) in SIZES {
                    for imm in [0, 5] {
                        let store = insn(0x62 | size, 1, 0, off, imm);
                        cases.push(finish(format!("{imm} {base} {off} {bytes} {what}"), &[&make, &[store], &after]));
                    }
                    for src in [6, 8, 9, 10] {
                        let store = insn(0x63 | size, 1, src, off, 0);
                        cases.push(finish(format!("r{src} {base} {off} {bytes} {what}"), &[&make, &[store], &after]));
                    }
                    let release = insn(0xc3 | size, 1, 8, off, 0x110);
                    cases.push(finish(format!("release {base} {off} {bytes} {what}"), &[&make, &[release], &after]));
                }
            }
        }
    }
    report(differences("stores", maps(), cases));
}

#[test]
fn atomics() {
    let mut cases = Vec::new();
    for (base, make) in bases() {
        for off in offsets(base) {
            for (what, after) in uses() {
                for (bytes, size) in SIZES {
                    for imm in [0x00, 0x01, 0x51, 0xe1, 0xf1, 0x21, 0x100, 0x110] {
                        for src in [2, 1] {
                            let set = [insn(0xbf, 2, 8, 0, 0), insn(0xb7, 0, 0, 0, 3)];
                            let op = insn(0xc3 | size, 1, src, off, imm);
                            let name = format!("{imm:#x} r{src} {base} {off} {bytes} {what}");
                            cases.push(finish(name, &[&make, &set, &[op], &after]));
                        }
                    }
                }
            }
        }
    }
    // All of them take minutes; every seventh one meets every base, operation and use.
    let cases = cases.into_iter().step_by(7).collect();
    report(differences("atomics", maps(), cases));
}

#[test]
fn legacy_loads() {
    let mut cases = Vec::new();
    let exit = [insn(0xb7, 0, 0, 0, 1), insn(0x95, 0, 0, 0, 0)];
    for (name, load) in [("absolute", insn(0x20, 0, 0, 0, 4)), ("indirect", insn(0x40, 0, 8, 0, 4))] {
        for (what, after) in uses().into_iter().take(3) {
            let copy = insn(0xbf, 2, 0, 0, 0);
            cases.push(finish(format!("{name} {what}"), &[&[load, copy], &after]));
        }
        for src in [1, 7, 8] {
            let other = insn(0xbf, 6, src, 0, 0);
            cases.push(finish(format!("{name} r6 is r{src}"), &[&[other, load]]));
        }
        // In a function: the load may end it, and the caller sees any result.
        let call = [insn(0xbf, 1, 6, 0, 0), insn(0xbf, 2, 8, 0, 0), insn(0x85, 0, 1, 0, 3)];
        let deref = insn(0x07, 0, 0, 0, 1);
        let callee = [insn(0xbf, 6, 1, 0, 0), insn(0xbf, 8, 2, 0, 0), load];
        for result in [insn(0xb7, 0, 0, 0, 0), insn(0xbf, 0, 8, 0, 0)] {
            cases.push(finish(
                format!("{name} in a function"),
                &[&call, &[deref], &exit, &callee, &[result, insn(0x95, 0, 0, 0, 0)]],
            ));
        }
    }
    report(differences("legacy_loads", maps(), cases));
}
